"""Calls in a scope over real HTTP: the gateway makes the keys, so that no client needs to."""

from __future__ import annotations

from typing import Any

from tests.gateway.client import Agent, Reply, body, world
from tests.support.upstream import Rule

USED = {"prompt_tokens": 20, "completion_tokens": 5}
CHAT = "/v1/chat/completions"


async def call(agent: Agent, attempt: int, text: str = "hello", **more: Any) -> Reply:
    path = f"/scopes/s/{attempt}{CHAT}"
    return await agent.api.send("POST", path, body(text, **more), key=agent.key)


async def test_equal_bodies_are_calls_of_their_own_and_the_next_attempt_replays_them() -> None:
    async with world(Rule(usage=USED)) as w:
        agent = await w.api.open()
        first = [await call(agent, 1) for _ in range(5)]
        assert [reply.status for reply in first] == [200] * 5
        assert w.upstream.count == 5
        second = [await call(agent, 2) for _ in range(5)]
        assert [reply.text for reply in second] == [reply.text for reply in first]
        assert w.upstream.count == 5
        late = await call(agent, 1)
        assert (late.status, late.error["code"]) == (409, "attempt_superseded")
        assert late.headers["x-should-retry"] == "false"
        found = (await agent.api.send("GET", "/v1/scopes/s", key=agent.key)).json
        assert (found["attempt"], found["calls"]["charged"], found["calls"]["replayed"]) == (
            2,
            5,
            5,
        )
        assert len(await agent.ledger("?scope=s")) == 5
