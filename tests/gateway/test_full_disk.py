"""A full disk: the gateway refuses calls and /healthz reports it, until there is space again."""

import resource
from typing import Any

import aiohttp
import pytest

from durable_agent_team.gateway.calls import call_service
from durable_agent_team.gateway.stores.sqlite_file import SchemaError
from durable_agent_team.gateway.stores.sqlite_store import SqliteStore
from durable_agent_team.gateway.stores.store import StoreError
from tests.gateway.client import Api, world
from tests.gateway.test_possibly_billed import asking
from tests.support.gateway import running_gateway
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


@pytest.mark.parametrize(
    ("operation", "rule", "codes"),
    [
        ("settle", Rule(usage=USED), [None, None]),
        ("release", Rule(latency=5), ["upstream_timeout", "limit_reached"]),
    ],
)
async def test_how_a_call_ended_is_written_as_soon_as_there_is_space(
    operation: str, rule: Rule, codes: list[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So it is not made again, whether it was answered or has run into the gateway's limit."""
    monkeypatch.setattr(call_service, "SETTLE_PAUSES", (0.01,))
    monkeypatch.setattr(call_service, "LONGEST_SETTLE_PAUSE", 0.02)
    async with world(rule, upstream_timeout_seconds=0.3) as w:
        store, refused = w.gateway.server.store, 0
        write = getattr(store, operation)

        async def full_for_a_while(*given: object) -> Any:
            nonlocal refused
            refused += 1
            if refused <= 20:
                raise StoreError("the database cannot be written: the disk is full")
            return await write(*given)

        monkeypatch.setattr(store, operation, full_for_a_while)
        agent = await w.api.open()
        for code in codes:
            error = (await asking(agent, "k", known="0"))[1]
            assert (error["code"] if error else None) == code
        assert w.upstream.count == 1
        account = await agent.account()
        assert account["reserved"] == 0
        assert account["possibly_billed_calls"] + len(await agent.ledger()) == 1


async def test_a_start_on_a_full_disk_names_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """What dead gateways have left cannot be released: a message, and no trace."""

    async def full(_: object) -> int:
        raise StoreError("the database cannot be written: database or disk is full")

    monkeypatch.setattr(SqliteStore, "release_abandoned", full)
    with pytest.raises(SchemaError, match=r"^GATEWAY_DATABASE .*disk is full\. Make room"):
        async with running_gateway("http://127.0.0.1:9"):
            pass
