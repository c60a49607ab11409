"""A local stack of one's own: any free ports, everything in one folder."""

import asyncio
import contextlib
from pathlib import Path

from temporalio.client import Client

from runtime.connection import ServiceUnavailable, connect, ensure_search_attributes
from runtime.settings import ClientSettings
from runtime.stack_plan import Plan, StackSettings, make_plan

READY_SECONDS = 60


def plan_in(folder: Path, upstream_url: str, model: str) -> Plan:
    """Beside the stack of `make up`, which is left alone."""
    return make_plan(
        StackSettings(
            data_dir=str(folder),
            temporal_port=0,
            temporal_ui_port=0,
            gateway_port=0,
            upstream_url=upstream_url,
            default_model=model,
        )
    )


async def client_of(plan: Plan) -> Client:
    """As soon as its Temporal server, which was just started, is up."""
    settings = ClientSettings(temporal_address=plan.temporal_address, temporal_namespace="default")
    async with asyncio.timeout(READY_SECONDS):
        while True:
            with contextlib.suppress(ServiceUnavailable):
                client = await connect(settings)
                await ensure_search_attributes(client)
                return client
            await asyncio.sleep(0.1)
