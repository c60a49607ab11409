"""A full disk: the gateway refuses calls and /healthz reports it, until there is space again."""

import resource
from typing import Any

import aiohttp

from tests.gateway.client import Api
from tests.support.gateway_process import GatewayProcess, gateway_process
from tests.support.upstream import Rule, ScriptedUpstream

USED = {"prompt_tokens": 20, "completion_tokens": 5}


def fill_disk(gateway: GatewayProcess) -> None:
    """Sets the process' file size limit to one byte, so that no file can grow."""
    assert gateway.process is not None
    most = resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE, (1, most))


def make_room(gateway: GatewayProcess) -> None:
    assert gateway.process is not None
    most = resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE, (most, most))


async def health(url: str, http: aiohttp.ClientSession) -> tuple[int, dict[str, Any]]:
    async with http.get(f"{url}/healthz") as response:
        return response.status, await response.json()


async def test_a_gateway_with_a_full_disk_is_not_ready_until_there_is_space() -> None:
    async with (
        ScriptedUpstream([Rule(usage=USED)]) as upstream,
        gateway_process(upstream.url) as gateway,
        aiohttp.ClientSession() as http,
    ):
        agent = await Api(gateway.url, http).open()
        assert (await agent.chat(key="before")).status == 200
        assert (await health(gateway.url, http))[0] == 200
        fill_disk(gateway)
        refused = await agent.chat(key="k")
        assert (refused.status, refused.error["code"]) == (503, "store_unavailable")
        status, reported = await health(gateway.url, http)
        assert status == 503
        assert reported["status"].startswith("the database cannot be written: ")
        assert upstream.count == 1, "a call that could not be reserved was not made"
        make_room(gateway)
        assert (await health(gateway.url, http))[0] == 200
        assert (await agent.chat(key="k")).status == 200
        assert [line["idempotency_key"] for line in await agent.ledger()] == ["before", "k"]
