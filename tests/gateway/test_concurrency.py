"""Concurrent calls: on one account, with one idempotency key, by clients that leave, across
processes."""

import asyncio
import json
from decimal import Decimal

import aiohttp
import pytest

from durable_agent_team.gateway.calls.chat_request import parse_chat_request
from durable_agent_team.gateway.stores.store import BeginResult, NewCall
from tests.gateway.client import Agent, Api, Reply, body, bound, world
from tests.support.gateway import running_gateway
from tests.support.upstream import Rule, ScriptedUpstream

USED = {"prompt_tokens": 20, "completion_tokens": 5}


@pytest.mark.parametrize("processes", [1, 2])
async def test_64_concurrent_calls_on_an_account_that_can_pay_for_ten(processes: int) -> None:
    """Two gateways on one database enforce the limit as exactly as one does."""
    need = bound(body("call 00"))
    async with world(Rule(latency=0.3, usage=USED)) as w:
        agent = await w.api.open(f"{Decimal(need * 10) / 10**6}")
        async with running_gateway(w.upstream.url, database=w.gateway.database) as second:
            other = Agent(Api(second.url, w.api.http), agent.id, agent.key)
            agents = [agent, other][:processes]
            replies = await asyncio.gather(
                *(agents[n % processes].chat(body(f"call {n:02}"), f"k{n}") for n in range(64))
            )
        assert sorted(r.status for r in replies) == [200] * 10 + [402] * 54
        assert w.upstream.count == 10
        account = await agent.account()
        assert account["reserved"] == 0
        assert account["spent"] == Decimal("0.00003") * 10
        assert len(await agent.ledger()) == 10
        refused = next(r for r in replies if r.status == 402)
        assert refused.error["remaining_usd"] + refused.error["reserved_usd"] > 0


@pytest.mark.parametrize("processes", [1, 2])
async def test_concurrent_repetitions_of_a_call_make_it_once(processes: int) -> None:
    async with world(Rule(latency=0.3, text="once")) as w:
        agent = await w.api.open()
        async with running_gateway(w.upstream.url, database=w.gateway.database) as second:
            other = Agent(Api(second.url, w.api.http), agent.id, agent.key)
            agents = [agent, other][:processes]
            calls = [asyncio.create_task(agents[n % processes].chat(key="k")) for n in range(20)]
            await agent.until_reserved()
            conflict = await other.chat(body("other"), key="k")
            replies = await asyncio.gather(*calls)
        assert conflict.status == 409
        assert {r.text for r in replies} == {replies[0].text}
        assert [r.status for r in replies] == [200] * 20
        assert sum("x-idempotent-replay" in r.headers for r in replies) == 19
        assert w.upstream.count == 1
        assert len(await agent.ledger()) == 1


async def test_a_call_is_not_refused_together_with_another_body_under_its_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held, gate = asyncio.Event(), asyncio.Event()
    async with world() as w:
        agent = await w.api.open()
        first = await agent.chat(key="k")
        store = w.gateway.server.store
        begin = store.begin

        async def begin_the_first_late(call: NewCall) -> BeginResult:
            if not held.is_set():
                held.set()
                await gate.wait()
            return await begin(call)

        monkeypatch.setattr(store, "begin", begin_the_first_late)
        wrong = asyncio.create_task(agent.chat(body("other"), key="k"))
        await held.wait()
        assert (await agent.chat(key="k")).text == first.text
        gate.set()
        assert (await wrong).error["type"] == "idempotency_conflict"


async def test_waiting_requests_get_the_failure_and_the_key_can_be_reused() -> None:
    async with world(Rule(latency=0.2, status=500, times=1)) as w:
        agent = await w.api.open()
        replies = await asyncio.gather(*(agent.chat(key="k") for _ in range(5)))
        assert {r.status for r in replies} == {500}
        assert (await agent.chat(key="k")).status == 200
        assert w.upstream.count == 2


async def leave(agent: Agent, key: str | None) -> None:
    """Sends the call and disconnects before the answer."""
    call = asyncio.create_task(agent.chat(key=key))
    await agent.until_reserved()
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)


@pytest.mark.parametrize("key", ["k", None])
async def test_a_client_that_leaves_pays_and_can_get_the_answer_later(key: str | None) -> None:
    async with world(Rule(latency=0.3, usage=USED)) as w:
        agent = await w.api.open()
        await leave(agent, key)
        await agent.until_reserved(False)
        assert [line["amount"] for line in await agent.ledger()] == [Decimal("0.00003")]
        if key:
            assert (await agent.chat(key=key)).headers["x-idempotent-replay"] == "true"
            assert w.upstream.count == 1


async def test_a_client_that_leaves_can_rejoin_the_call_in_flight() -> None:
    async with world(Rule(latency=0.4)) as w:
        agent = await w.api.open()
        await leave(agent, "k")
        reply = await agent.chat(key="k")
        assert (reply.status, reply.headers["x-idempotent-replay"]) == (200, "true")
        assert w.upstream.count == 1


async def test_disabling_waits_for_calls_in_flight() -> None:
    async with world(Rule(latency=2, usage=USED, times=1)) as w:
        agent, other = await w.api.open(), await w.api.open()
        call = asyncio.create_task(agent.chat(key="k"))
        await agent.until_reserved()
        closing = asyncio.create_task(agent.patch(status="disabled", wait_seconds=10))
        await asyncio.sleep(0.1)
        refused = await agent.chat(body("new"), key="k2")
        assert (refused.status, refused.error["code"]) == (402, "account_disabled")
        assert not closing.done()
        reply = await call
        assert reply.status == 200
        closed = (await closing).json
        assert (closed["reserved"], closed["charges"]) == (0, 1)
        assert closed["spent"] == Decimal("0.00003")
        again = await agent.chat(key="k")
        assert (again.status, again.error["code"]) == (402, "account_disabled")
        assert (await other.chat()).status == 200


async def test_the_wait_for_calls_in_flight_is_bounded() -> None:
    async with world(Rule(latency=1)) as w:
        agent = await w.api.open()
        call = asyncio.create_task(agent.chat())
        await agent.until_reserved()
        closed = await agent.patch(status="disabled", wait_seconds=0.1)
        assert closed.json["reserved"] > 0
        assert (await call).status == 200


async def test_answers_dropped_with_their_account_are_never_paid_twice() -> None:
    async with world() as w:
        agent = await w.api.open()
        await agent.chat(key="k")
        await agent.patch(status="disabled")
        await agent.patch(status="active")
        reply = await agent.chat(key="k")
        assert (reply.status, reply.error["code"]) == (410, "answer_dropped")
        assert (await agent.chat(key="k2")).status == 200
        assert w.upstream.count == 2


async def test_an_agent_that_spends_its_budget_does_not_affect_the_others() -> None:
    async with world(Rule(usage=USED)) as w:
        burning, calm = await w.api.open("0.0005", "burning"), await w.api.open(1, "calm")

        async def burn() -> Reply:
            while True:
                reply = await burning.chat()
                if reply.status != 200:
                    return reply

        assert (await burn()).status == 402
        account = await calm.account()
        assert (account["balance"], account["spent"]) == (1, 0)
        assert (await calm.chat()).status == 200


async def test_gateways_on_one_database_replay_each_others_answers() -> None:
    async with (
        ScriptedUpstream() as upstream,
        running_gateway(upstream.url) as one,
        running_gateway(upstream.url, database=one.database) as two,
        aiohttp.ClientSession() as http,
    ):
        agent = await Api(one.url, http).open()
        first = await agent.chat(key="k")
        second = await Agent(Api(two.url, http), agent.id, agent.key).chat(key="k")
        assert first.text == second.text
        assert upstream.count == 1


async def test_cancelling_the_handler_does_not_cancel_the_call() -> None:
    """The HTTP server may cancel the handler of a client that left; the call continues."""
    async with world(Rule(latency=0.3, usage=USED)) as w:
        agent = await w.api.open()
        gateway = w.gateway.server.gateway
        request = parse_chat_request(json.dumps(body()).encode(), gateway.models)
        handler = asyncio.create_task(gateway.calls.make(agent.id, "k", request))
        await agent.until_reserved()
        handler.cancel()
        await asyncio.gather(handler, return_exceptions=True)
        await agent.until_reserved(False)
        account = await agent.account()
        assert (account["charges"], account["interrupted"]) == (1, {})
