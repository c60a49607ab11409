"""The long poll of a scope: an answer as soon as it has cost something more, and no sooner."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import Any

import aiohttp
import pytest

from durable_agent_team.gateway.calls import scope_watch
from tests.gateway.client import Agent, Api, Reply, world
from tests.gateway.test_scopes import USED, call
from tests.support.gateway import running_gateway
from tests.support.upstream import Rule, ScriptedUpstream


def watched(agent: Agent, query: str, scope: str = "s") -> Awaitable[Reply]:
    return agent.api.send("GET", f"/v1/scopes/{scope}?{query}", key=agent.key)


async def test_it_answers_as_soon_as_the_scope_is_charged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scope_watch, "OTHERS_SECONDS", 60)  # the database is not what tells it
    async with world(Rule(usage=USED)) as w:
        agent = await w.api.open()
        waiting = asyncio.ensure_future(watched(agent, "spent_usd=0&wait_seconds=30"))
        other = asyncio.ensure_future(watched(agent, "spent_usd=0&wait_seconds=0.3", "other"))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        await call(agent)
        charged = time.monotonic()
        found = (await waiting).json
        assert time.monotonic() - charged < 15, "and not after `wait_seconds`"
        assert found["spent_usd"] > 0
        assert found["calls"]["charged"] == 1
        again = f"spent_usd={found['spent_usd']}&wait_seconds=0.2"
        assert (await watched(agent, again)).json["spent_usd"] == found["spent_usd"]
        assert (await other).json["spent_usd"] == 0, "another scope was charged"
        at_once = time.monotonic()
        await watched(agent, "spent_usd=0&wait_seconds=30")
        assert time.monotonic() - at_once < 15, "it has cost something already"
        assert not w.gateway.server.gateway.calls.scope_watch._waiting


async def test_what_another_process_charges_is_seen_within_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scope_watch, "OTHERS_SECONDS", 0.1)
    async with (
        ScriptedUpstream([Rule(usage=USED)]) as upstream,
        running_gateway(upstream.url) as one,
        running_gateway(upstream.url, database=one.database) as two,
        aiohttp.ClientSession() as http,
    ):
        agent = await Api(one.url, http).open()
        waiting = asyncio.ensure_future(watched(agent, "spent_usd=0&wait_seconds=30"))
        await asyncio.sleep(0.05)
        await call(Agent(Api(two.url, http), agent.id, agent.key))
        async with asyncio.timeout(5):
            assert (await waiting).json["spent_usd"] > 0


async def test_it_ends_with_its_client_with_the_gateway_and_beyond_a_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scope_watch, "OTHERS_SECONDS", 0.05)
    monkeypatch.setattr(scope_watch, "MAX_WAITING", 1)
    async with world(Rule(usage=USED)) as w:
        agent = await w.api.open()
        watch = w.gateway.server.gateway.calls.scope_watch
        left = asyncio.ensure_future(watched(agent, "spent_usd=0&wait_seconds=30"))
        while not watch._waiting:
            await asyncio.sleep(0.01)
        async with asyncio.timeout(5):
            await watched(agent, "spent_usd=0&wait_seconds=30")
        left.cancel()
        while watch._waiting:
            await asyncio.sleep(0.01)
        stays = asyncio.ensure_future(watched(agent, "spent_usd=0&wait_seconds=30"))
        while not watch._waiting:
            await asyncio.sleep(0.01)
        watch.end()
        async with asyncio.timeout(5):
            assert (await stays).status == 200


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("wait_seconds=1", "spent_usd"),
        ("spent_usd=1&wait_seconds=31", "wait_seconds"),
        ("spent_usd=1&wait_seconds=nan", "wait_seconds"),
        ("spent_usd=much&wait_seconds=1", "spent_usd"),
        ("spent_usd=-1", "spent_usd"),
        ("spent_usd=0.0000001", "spent_usd"),
    ],
)
async def test_a_wrong_value_is_named(query: str, field: str) -> None:
    async with world() as w:
        agent = await w.api.open()
        refused: Any = await watched(agent, query)
        assert refused.status == 400
        assert field in refused.error["message"]
