"""A gateway of its own for generated requests, and a look at what they left behind."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import aiohttp

from tests.gateway.client import Agent, Api
from tests.support import secrets
from tests.support.gateway import PARENT_KEY, SECRET
from tests.support.gateway_process import GatewayProcess, gateway_process
from tests.support.upstream import Rule, ScriptedUpstream

T = TypeVar("T")
UPSTREAM_KEY = "upstream-key-0123456789-0123456789"


@asynccontextmanager
async def attacked_gateway(**settings: Any) -> AsyncIterator[tuple[Api, Agent]]:
    """At the end it still works, stops, and has written no trace and no key."""
    async with (
        ScriptedUpstream([Rule(text="an answer")]) as upstream,
        gateway_process(upstream.url, upstream_api_key=UPSTREAM_KEY, **settings) as gateway,
        aiohttp.ClientSession() as http,
    ):
        api = Api(gateway.url, http)
        agent = await connected(lambda: api.open(1000))
        yield api, agent
        assert (await connected(lambda: api.send("GET", "/healthz"))).status == 200
        await connected(lambda: agent.until_reserved(False))
        await _look_for_keys(gateway, agent)


async def connected(request: Callable[[], Awaitable[T]]) -> T:
    """Again, as long as the gateway takes this client for one that sends nothing: it waits for a
    request for as little as the settings say, and the machine is busy."""
    while True:
        with suppress(aiohttp.ServerDisconnectedError):
            return await request()


async def _look_for_keys(gateway: GatewayProcess, agent: Agent) -> None:
    folder = gateway.database.parent
    assert await asyncio.wait_for(gateway.end(signal.SIGTERM), 30) == 0
    assert "Traceback" not in gateway.log
    for line in gateway.log.splitlines():
        assert json.loads(line)["level"] in ("info", "warning", "error")
    keys = {"parent": PARENT_KEY, "secret": SECRET, "upstream": UPSTREAM_KEY, "agent": agent.key}
    assert secrets.found(keys, secrets.contents(folder)) == []
