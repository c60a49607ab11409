"""Charges of tools over HTTP: reserved before a tool runs, settled once or released, and in the
same ledger as calls."""

import asyncio
import signal
import sqlite3
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from tests.gateway.client import Agent, Api, Reply, body, world
from tests.support.gateway import running_gateway
from tests.support.gateway_process import gateway_process
from tests.support.upstream import Rule, ScriptedUpstream

KEY = "0b6c8c0e-1111-4c7e-9f0e-000000000001:3.1"


async def reserve(
    agent: Agent,
    amount: Any = "0.25",
    key: str = KEY,
    what: str = "shop.tools:refund",
    if_match: str | None = None,
) -> Reply:
    order = {"key": key, "amount_usd": amount, "what": what}
    return await agent.api.send("POST", "/v1/charges", order, key=agent.key, if_match=if_match)


async def end(agent: Agent, how: str, key: str = KEY, if_match: str | None = None) -> Reply:
    path = f"/v1/charges/{key}/{how}"
    return await agent.api.send("POST", path, key=agent.key, if_match=if_match)


def code(reply: Reply) -> tuple[int, str]:
    return reply.status, reply.error["code"]


async def money(agent: Agent) -> tuple[Any, Any, int]:
    account = await agent.account()
    return account["spent"], account["reserved"], account["charges"]


async def test_a_tool_is_charged_once_whoever_repeats_what() -> None:
    async with world() as w:
        agent = await w.api.open()
        first = await reserve(agent)
        assert first.status == 201
        assert first.json == {
            "key": KEY, "amount_usd": Decimal("0.25"), "what": "shop.tools:refund",
            "state": "reserved", "revision": 1,
        }  # fmt: skip
        assert first.headers["x-account-reserved-usd"] == "0.250000"
        assert (await reserve(agent)).status == 200
        assert await money(agent) == (0, Decimal("0.25"), 0)
        for _ in range(2):
            settled = await end(agent, "settle")
            assert (settled.status, settled.json["state"]) == (200, "settled")
        again = await reserve(agent)
        assert (again.status, again.json["state"]) == (200, "settled")
        assert code(await end(agent, "release")) == (409, "charge_settled")
        assert await money(agent) == (Decimal("0.25"), 0, 1)


async def test_what_did_not_run_is_given_back_and_can_be_reserved_again() -> None:
    async with world() as w:
        agent = await w.api.open()
        await reserve(agent)
        for _ in range(2):
            assert (await end(agent, "release")).json["state"] == "released"
        assert await money(agent) == (0, 0, 0)
        assert code(await end(agent, "settle")) == (409, "charge_released")
        assert (await reserve(agent)).status == 201
        assert (await end(agent, "settle")).status == 200
        assert await money(agent) == (Decimal("0.25"), 0, 1)


async def test_a_client_that_stood_still_changes_nothing_that_was_changed_since() -> None:
    async with world() as w:
        agent = await w.api.open()
        assert code(await reserve(agent, if_match='"1"')) == (412, "changed_since")
        assert await money(agent) == (0, 0, 0)
        assert (await reserve(agent, if_match='"0"')).json["revision"] == 1
        assert code(await reserve(agent, if_match='"0"')) == (412, "changed_since")
        assert (await reserve(agent, if_match='"1"')).json["revision"] == 2  # the next attempt
        refused = await end(agent, "release", if_match='"1"')
        assert code(refused) == (412, "changed_since")
        assert refused.error["revision"] == 2
        assert await money(agent) == (0, Decimal("0.25"), 0)
        assert (await end(agent, "release", if_match='"2"')).json["revision"] == 3
        assert code(await reserve(agent, if_match='"2"')) == (412, "changed_since")
        assert (await end(agent, "release")).json["revision"] == 4
        assert (await reserve(agent, if_match='"4"')).json["revision"] == 5
        assert (await end(agent, "settle")).status == 200
        assert (await reserve(agent, if_match='"5"')).json["state"] == "settled"
        assert code(await end(agent, "release", if_match='"1"')) == (409, "charge_settled")


@pytest.mark.parametrize("value", ["1", '"-1"', '"one"', "*", '"1", "2"', 'W/"1"', ""])
async def test_what_is_no_revision_is_refused(value: str) -> None:
    async with world() as w:
        agent = await w.api.open()
        refused = await reserve(agent, if_match=value)
        assert refused.status == 400
        assert refused.error["message"].startswith("`If-Match` must be one revision in quotes")
        assert await money(agent) == (0, 0, 0)


async def test_a_change_that_is_not_fenced_refuses_a_revision() -> None:
    async with world() as w:
        agent, other = await w.api.open(), await w.api.open()
        await reserve(agent)
        move = {"from": agent.id, "to": other.id, "amount": 0.5}
        close = {"agents": [agent.id], "status": "disabled"}
        for refused in (
            await end(agent, "settle", if_match='"1"'),
            await w.api.send("POST", "/v1/transfers", move, if_match='"0"'),
            await w.api.send("PATCH", "/v1/agents/batch", close, if_match='"0"'),
        ):
            assert refused.status == 400
            assert refused.error["message"].startswith("`If-Match` is not used for this request")
        account = await agent.account()
        assert (account["revision"], account["status"]) == (0, "active")
        assert await money(agent) == (0, Decimal("0.25"), 0)


async def test_a_key_has_one_amount() -> None:
    async with world() as w:
        agent = await w.api.open()
        for then in (None, "settle"):
            if then:
                await end(agent, then)
            for _ in range(2):
                await reserve(agent)
                assert code(await reserve(agent, "0.26")) == (409, "idempotency_conflict")


async def test_a_charge_that_does_not_fit_is_refused_as_a_call_is() -> None:
    async with world() as w:
        agent = await w.api.open("0.5")
        await reserve(agent, "0.3")
        refused = await reserve(agent, "0.200001", key="other")
        assert code(refused) == (402, "budget_exhausted")
        assert refused.error["type"] == "insufficient_funds"
        figures = ("remaining_usd", "required_usd", "reserved_usd")
        expected = [Decimal("0.2"), Decimal("0.200001"), Decimal("0.3")]
        assert [refused.error[name] for name in figures] == expected
        assert "'shop.tools:refund'" in refused.error["message"]
        assert (await reserve(agent, "0.2", key="fits")).status == 201
        call = await agent.chat()
        assert code(call) == (402, "budget_exhausted")
        assert call.error["remaining_usd"] == 0


async def test_calls_and_charges_are_lines_of_one_ledger() -> None:
    """Also under the same key: a call's, and a charge's, are two things."""
    async with world(Rule(usage={"prompt_tokens": 20, "completion_tokens": 5})) as w:
        agent = await w.api.open()
        await reserve(agent, "0.000007")
        assert (await agent.chat(key=KEY)).status == 200
        await end(agent, "settle")
        assert (await agent.chat(key=KEY)).headers["x-idempotent-replay"] == "true"
        call, tool = await agent.ledger()
        assert "kind" not in call
        assert (tool["kind"], tool["what"]) == ("tool", "shop.tools:refund")
        assert (tool["idempotency_key"], tool["amount"]) == (KEY, Decimal("0.000007"))
        assert (tool["model"], tool["prompt_tokens"], tool["estimated"]) == ("", 0, False)
        assert await agent.ledger("?kind=tool") == [tool]
        assert await agent.ledger("?kind=charge") == [call, tool]
        assert await agent.ledger(f"?idempotency_key={KEY}") == [call, tool]
        account = await agent.account()
        assert account["spent"] == call["amount"] + tool["amount"]
        assert (account["charges"], account["possibly_billed_calls"]) == (2, 0)


@pytest.mark.parametrize("batch", [False, True])
async def test_closing_an_account_settles_what_may_have_run(batch: bool) -> None:
    async with world() as w:
        agent = await w.api.open()
        await reserve(agent, "0.1", key="one")
        await reserve(agent, "0.2", key="two")
        await reserve(agent, "0.3", key="gone")
        await end(agent, "release", key="gone")
        order = {"status": "disabled", "wait_seconds": 5}
        if batch:
            order["agents"] = [agent.id]
            closed = await w.api.send("PATCH", "/v1/agents/batch", order)
            account = closed.json["agents"][0]
        else:
            account = (await agent.patch(**order)).json
        assert (account["spent"], account["reserved"], account["charges"]) == (Decimal("0.3"), 0, 2)
        assert [line["idempotency_key"] for line in await agent.ledger("?kind=tool")] == [
            "one", "two",
        ]  # fmt: skip
        assert (await end(agent, "settle", key="one")).json["state"] == "settled"
        assert code(await end(agent, "release", key="two")) == (409, "charge_settled")
        assert code(await reserve(agent, "0.1", key="one")) == (402, "account_disabled")
        assert code(await reserve(agent, "0.1", key="new")) == (402, "account_disabled")


async def test_a_limit_and_a_transfer_leave_what_is_reserved() -> None:
    async with world() as w:
        agent, other = await w.api.open(1), await w.api.open(1)
        await reserve(agent, "0.6")
        assert code(await agent.patch(budget="0.5")) == (409, "budget_below_spent")
        move = {"from": agent.id, "to": other.id, "amount": "0.5"}
        assert code(await w.api.send("POST", "/v1/transfers", move)) == (409, "insufficient_funds")
        move["amount"] = "0.4"
        assert (await w.api.send("POST", "/v1/transfers", move)).status == 200
        assert (await end(agent, "settle")).status == 200
        assert await money(agent) == (Decimal("0.6"), 0, 1)


async def test_each_account_has_its_own_charges() -> None:
    async with world() as w:
        agent, other = await w.api.open(), await w.api.open()
        await reserve(agent)
        assert code(await end(other, "settle")) == (404, "not_found")
        assert code(await end(other, "release")) == (404, "not_found")
        path = f"/v1/charges/{KEY}"
        assert (await w.api.send("GET", path, key=other.key)).status == 404
        assert (await w.api.send("GET", path, key=agent.key)).json["state"] == "reserved"
        assert (await w.api.send("GET", f"{path}?agent={agent.id}")).json["state"] == "reserved"
        assert (await w.api.send("POST", f"{path}/settle")).status == 403
        assert (await w.api.send("POST", "/v1/charges", {})).status == 403


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"key": ""}, "`key`"),
        ({"key": "a/b"}, "`key`"),
        ({"key": "k" * 201}, "`key`"),
        ({"key": 3}, "`key`"),
        ({"amount_usd": 0}, "`amount_usd`"),
        ({"amount_usd": "-1"}, "`amount_usd`"),
        ({"amount_usd": "0.0000001"}, "`amount_usd`"),
        ({"amount_usd": None}, "`amount_usd`"),
        ({"what": ""}, "`what`"),
        ({"what": "two\nlines"}, "`what`"),
        ({"what": "w" * 201}, "`what`"),
        ({"amount": 1}, "`amount`"),
    ],
)
async def test_a_wrong_order_names_its_field(change: dict[str, Any], field: str) -> None:
    async with world() as w:
        agent = await w.api.open()
        order = {"key": "k", "amount_usd": "0.1", "what": "t", **change}
        refused = await w.api.send("POST", "/v1/charges", order, key=agent.key)
        assert refused.status == 400
        assert refused.error["message"].startswith(field)
        with_key = {"key": "k", "amount_usd": "0.1", "what": agent.key}
        refused = await w.api.send("POST", "/v1/charges", with_key, key=agent.key)
        assert refused.status == 400
        assert agent.key not in refused.text
        assert await money(agent) == (0, 0, 0)


async def test_a_charge_outlives_the_gateway_that_reserved_it() -> None:
    """Killed between reserve and settle: the reservation stays, and another process settles it."""
    async with (
        ScriptedUpstream([Rule(latency=30, times=1), Rule()]) as upstream,
        gateway_process(upstream.url) as gateway,
        aiohttp.ClientSession() as http,
    ):
        agent = await Api(gateway.url, http).open()
        await reserve(agent)
        await reserve(agent, "0.1", key="other")
        call = asyncio.create_task(agent.chat(key="k"))
        async with asyncio.timeout(30):
            while not upstream.count:
                await asyncio.sleep(0.01)
        await gateway.end(signal.SIGKILL)
        await asyncio.gather(call, return_exceptions=True)
        async with running_gateway(upstream.url, database=gateway.database) as survivor:
            agent.api = Api(survivor.url, http)
            assert await money(agent) == (0, Decimal("0.35"), 0)  # the call's bound is released
            assert (await reserve(agent)).status == 200
            assert (await end(agent, "settle")).status == 200
            assert (await end(agent, "release", key="other")).status == 200
            assert await money(agent) == (Decimal("0.25"), 0, 1)


async def test_two_gateways_never_overspend_by_a_micro_dollar() -> None:
    """Calls and charges race for the last micro-dollars, and each request comes twice."""
    used = {"prompt_tokens": 60, "completion_tokens": 10}
    async with (
        ScriptedUpstream([Rule(usage=used)]) as upstream,
        running_gateway(upstream.url) as one,
        running_gateway(upstream.url, database=one.database) as two,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http,
    ):
        agent = await Api(one.url, http).open("0.0035")
        sides = [Agent(Api(each.url, http), agent.id, agent.key) for each in (one, two)]

        async def charge(number: int, side: Agent) -> None:
            name = f"c{number}"
            if (await reserve(side, "0.000101", key=name)).status in (200, 201):
                how = "release" if number % 3 == 0 else "settle"
                await asyncio.gather(*(end(each, how, key=name) for each in sides))

        async def call(number: int, side: Agent) -> None:
            await side.chat(body(f"number {number}"), key=f"k{number}")

        await asyncio.gather(
            *(work(n, side) for n in range(20) for work in (charge, call) for side in sides)
        )
        account = await agent.account()
        lines = await agent.ledger()
        assert account["reserved"] == 0
        assert account["spent"] == sum(line["amount"] for line in lines) <= Decimal("0.0035")
        keys = [(line.get("kind"), line["idempotency_key"]) for line in lines]
        assert len(set(keys)) == len(keys)
        assert {kind for kind, _ in keys} == {None, "tool"}


async def test_the_ledgers_file_forbids_to_charge_twice() -> None:
    async with world() as w:
        agent = await w.api.open()
        await reserve(agent)
        await end(agent, "settle")
        conn = sqlite3.connect(w.gateway.database)
        for statement in (
            "UPDATE tool_charges SET state = 'reserved'",
            "UPDATE tool_charges SET amount = 1",
            "DELETE FROM tool_charges",
            "INSERT INTO ledger SELECT NULL, account_id, created_at, idempotency_key, model, 0, 0,"
            " amount, 0, 0, 0, 0, 0, 0, '', NULL, NULL, kind, what FROM ledger",
        ):
            with pytest.raises(sqlite3.IntegrityError):
                conn.execute(statement)
        conn.close()
