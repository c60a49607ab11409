"""Many accounts in one request: in their order, and all checked before the first one is opened."""

import asyncio
from typing import Any

import pytest

from tests.gateway.client import Agent, World, body, world
from tests.support.gateway import PARENT_KEY
from tests.support.upstream import Rule

BATCH = "/v1/agents/batch"


def orders(count: int, **changes: Any) -> dict[str, Any]:
    agents = [
        {"name": f"agent-{n}", "budget": f"0.{n + 1:06d}", "idempotency_key": f"open-{n}"}
        for n in range(count)
    ]
    return {"agents": [{**each, **changes} for each in agents]}


async def opened(w: World, count: int = 3) -> list[Agent]:
    reply = await w.api.send("POST", BATCH, orders(count))
    assert reply.status == 201, reply.text
    return [Agent(w.api, each["id"], each["api_key"]) for each in reply.json["agents"]]


async def test_accounts_are_opened_in_order_and_again_the_same() -> None:
    async with world() as w:
        first = await w.api.send("POST", BATCH, orders(40))
        again = await w.api.send("POST", BATCH, orders(40))
        assert (first.status, first.json) == (201, again.json)
        agents = first.json["agents"]
        assert [each["name"] for each in agents] == [f"agent-{n}" for n in range(40)]
        assert len({each["id"] for each in agents}) == 40
        assert first.json["capabilities"]["hard_limit"]
        single = await w.api.send(
            "POST",
            "/v1/agents",
            {"name": "agent-7", "budget": "0.000008"},
            idempotency_key="open-7",
        )
        assert single.json["id"] == agents[7]["id"]
        agent = Agent(w.api, agents[7]["id"], agents[7]["api_key"])
        assert (await agent.chat()).status == 402, "its own limit holds"


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({}, "`agents`"),
        ({"agents": []}, "`agents`"),
        ({"agents": {}}, "`agents`"),
        ({"agents": ["x"]}, "`agents[0]`"),
        ({"agents": [{"name": "a", "budget": 1}]}, "agents[0].idempotency_key"),
        (orders(2, name=""), "agents[0].name"),
        (orders(2, budget="x"), "agents[0].budget"),
        (orders(2, idempotency_key="one"), "idempotency_key"),
        (orders(1, idempotency_key=7), "agents[0].idempotency_key"),
        (orders(1, idempotency_key=PARENT_KEY), "secret key"),
        (orders(1, more=1), "`more`"),
        (orders(1001), "1 to 1000"),
    ],
)
async def test_nothing_is_opened_if_one_of_them_is_wrong(data: Any, field: str) -> None:
    async with world() as w:
        reply = await w.api.send("POST", BATCH, data)
        assert (reply.status, reply.error["type"]) == (400, "invalid_request_error")
        assert field in reply.error["message"]
        assert PARENT_KEY not in reply.text
        accounts = await w.gateway.server.store.find_account("x")
        assert accounts is None


async def test_a_key_of_another_account_is_a_conflict() -> None:
    async with world() as w:
        await opened(w, 2)
        reply = await w.api.send("POST", BATCH, orders(3, budget=9))
        assert (reply.status, reply.error["code"]) == (409, "idempotency_conflict")


async def test_an_agents_key_opens_and_closes_nothing() -> None:
    async with world() as w:
        agents = await opened(w)
        for method, data in (("POST", orders(1)), ("PATCH", closing(agents))):
            assert (await w.api.send(method, BATCH, data, key=agents[0].key)).status == 403
            assert (await w.api.send(method, BATCH, data, key="")).status == 401


def closing(opened: list[Agent], /, **changes: Any) -> dict[str, Any]:
    return {"agents": [each.id for each in opened], "status": "disabled", **changes}


async def test_all_are_closed_and_read_back_once_nothing_is_reserved() -> None:
    async with world(Rule(latency=0.5)) as w:
        reply = await w.api.send("POST", BATCH, orders(3, budget=1))
        agents = [Agent(w.api, each["id"], each["api_key"]) for each in reply.json["agents"]]
        calling = asyncio.create_task(agents[1].chat(body()))
        await agents[1].until_reserved()
        closed = await w.api.send("PATCH", BATCH, closing(agents, wait_seconds=10))
        assert (await calling).status == 200
        assert closed.status == 200
        states = closed.json["agents"]
        assert [each["id"] for each in states] == [each.id for each in agents]
        assert {each["status"] for each in states} == {"disabled"}
        assert [bool(each["spent"]) for each in states] == [False, True, False]
        assert all(each["reserved"] == 0 for each in states)
        assert "interrupted" in states[0]
        assert (await agents[0].chat()).status == 402


@pytest.mark.parametrize(
    "changes",
    [{"status": "gone"}, {"agents": [1]}, {"agents": []}, {"budget": 1}, {"wait_seconds": -1}],
)
async def test_an_invalid_change_changes_no_account(changes: dict[str, Any]) -> None:
    async with world() as w:
        agents = await opened(w, 2)
        assert (await w.api.send("PATCH", BATCH, closing(agents, **changes))).status == 400
        assert (await agents[0].account())["status"] == "active"


async def test_an_unknown_account_is_named() -> None:
    async with world() as w:
        reply = await w.api.send("PATCH", BATCH, {"agents": ["agt_x"], "status": "disabled"})
        assert reply.status == 404
        assert "agt_x" in reply.error["message"]
