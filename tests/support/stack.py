"""A local stack of one's own: any free ports, everything in one folder."""

import asyncio
import contextlib
from pathlib import Path

from dotenv import dotenv_values
from temporalio.client import Client

from durable_agent_team.client.connection import (
    ServiceUnavailable,
    connect,
    ensure_search_attributes,
)
from durable_agent_team.local_stack.stack_plan import StackPlan, StackSettings, make_plan
from durable_agent_team.process.settings import ClientSettings
from durable_agent_team.process.stack_state import LOCAL_ENV
from tests.support.ports import lasting_ports

READY_SECONDS = 60


def plan_in(folder: Path, upstream_url: str, model: str) -> StackPlan:
    """Separate from the stack of `make up`, which is left alone."""
    temporal, ui, gateway = lasting_ports(3)
    return make_plan(
        StackSettings(
            data_dir=str(folder),
            temporal_port=temporal,
            temporal_ui_port=ui,
            gateway_port=gateway,
            upstream_url=upstream_url,
            default_model=model,
        )
    )


async def client_of(plan: StackPlan) -> Client:
    """As soon as its Temporal server, which was just started, is up."""
    local = dotenv_values(plan.folder / LOCAL_ENV)
    names = {name: name.upper() for name in ClientSettings.model_fields}
    known = {name: local[upper] for name, upper in names.items() if local.get(upper)}
    settings = ClientSettings(_env_file=None, **known)  # type: ignore[arg-type]
    async with asyncio.timeout(READY_SECONDS):
        while True:
            with contextlib.suppress(ServiceUnavailable):
                client = await connect(settings)
                await ensure_search_attributes(client)
                return client
            await asyncio.sleep(0.1)
