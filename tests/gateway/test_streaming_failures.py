"""Streams that fail before the first byte, in the middle or at the end; and what is charged."""

import asyncio
import json
import sqlite3
from decimal import Decimal
from typing import Any

import pytest

from durable_agent_team.gateway.calls import call_service
from durable_agent_team.gateway.stores.store import InterruptionCause, StoreError
from tests.gateway.client import Agent, Reply, World, body, bound, streamed, world
from tests.support.upstream import Rule

USED = {"prompt_tokens": 20, "completion_tokens": 5}
COST = Decimal("0.00003")
TEXT = "one two three four "


def full_bound(sent: dict[str, Any]) -> Decimal:
    return Decimal(bound({**sent, "stream_options": {"include_usage": True}})) / 10**6


async def test_refusals_before_the_first_byte_are_plain_http_errors() -> None:
    async with world() as w:
        agent, poor = await w.api.open(), await w.api.open("0.00001")
        await agent.chat(streamed(), key="k")
        stranger = Agent(w.api, agent.id, "no-such-key-0123456789")
        parent = Agent(w.api, agent.id, w.api.key)
        for reply, status in [
            (await poor.chat(streamed()), 402),
            (await stranger.chat(streamed()), 401),
            (await parent.chat(streamed()), 403),
            (await agent.chat(streamed("other"), key="k"), 409),
            (await agent.chat(streamed() | {"model": "unpriced"}), 400),
            (await agent.chat(streamed(max_tokens=0)), 400),
        ]:
            assert reply.status == status
            assert reply.headers["content-type"].startswith("application/json")
            assert reply.error["message"]
        assert w.upstream.count == 1


@pytest.mark.parametrize(("status", "shown"), [(429, 429), (503, 503), (400, 400), (401, 502)])
async def test_an_upstream_refusal_is_a_plain_error_and_costs_nothing(
    status: int, shown: int
) -> None:
    rule = Rule(status=status, headers={"Retry-After": "7"}, times=1)
    async with world(rule, upstream_circuit_failures=0) as w:
        agent = await w.api.open()
        reply = await agent.chat(streamed(), key="k")
        assert (reply.status, reply.error["upstream_status"]) == (shown, status)
        assert reply.headers.get("retry-after") == ("7" if shown in (429, 503) else None)
        account = await agent.account()
        assert (account["reserved"], account["spent"], account["interrupted"]) == (0, 0, {})
        assert (await agent.chat(streamed(), key="k")).content == "ok"


async def test_an_error_as_the_first_event_is_a_plain_error() -> None:
    error = 'data: {"error": {"message": "overloaded", "code": 529}}\n\n'
    async with world(Rule(sse=[error], times=1)) as w:
        agent = await w.api.open()
        reply = await agent.chat(streamed(), key="k")
        assert (reply.status, reply.error["code"]) == (529, "upstream_529")
        assert "overloaded" in reply.error["message"]
        assert (await agent.account())["interrupted"] == {}
        assert (await agent.chat(streamed(), key="k")).content == "ok"


async def assert_uncharged_failure(
    w: World, agent: Agent, reply: Reply, code: str, cause: str
) -> None:
    """The error is in the stream; nothing is reserved or charged; the key makes a new call."""
    assert reply.status == 200
    error = reply.events[-1]["error"]
    assert (error["code"], error["type"]) == (code, "upstream_error")
    assert error["status"] >= 500
    assert "[DONE]" not in reply.text
    account = await agent.account()
    assert (account["reserved"], account["spent"]) == (0, 0)
    assert account["interrupted"] == {cause: 1}
    again = await agent.chat(streamed(usage=True), key="k")
    assert again.content == "ok"
    assert "x-idempotent-replay" not in again.headers
    assert len(await agent.ledger()) == 1
    assert w.upstream.count == 2


BROKEN = "upstream_broke_off"
NULL_WORD = 'data: {"choices": [{"delta": {"content": "o"}, "finish_reason": "null"}]}\n\n'
MALFORMED = "malformed_upstream"


@pytest.mark.parametrize(
    ("rule", "code", "cause"),
    [
        (Rule(stream_error={"error": {"message": "boom"}}), "upstream_stream_error", BROKEN),
        (Rule(stream_error={"error": {"message": "b", "code": "busy"}}), "busy", BROKEN),
        (Rule(stream_error={"error": "boom"}), "upstream_stream_error", BROKEN),
        (Rule(disconnect="middle"), BROKEN, BROKEN),
        (Rule(finish=False, done=False, usage="missing"), BROKEN, BROKEN),
        (Rule(sse=[": working\n\n"]), BROKEN, BROKEN),
        (Rule(sse=[NULL_WORD]), BROKEN, BROKEN),
        (Rule(sse=[": working\n\n", "data: [DONE]\n\n"]), MALFORMED, "malformed_answer"),
        (Rule(sse=[": working\n\n", 'data: {"cho\n\n']), MALFORMED, "malformed_answer"),
        (Rule(sse=[": working\n\n", "data: [1]\n\n"]), MALFORMED, "malformed_answer"),
    ],
)
async def test_a_stream_that_breaks_ends_with_an_error_and_its_key_can_be_reused(
    rule: Rule, code: str, cause: str
) -> None:
    rule.text, rule.times, rule.used = TEXT, 1, 0
    async with world(rule) as w:
        agent = await w.api.open()
        reply = await agent.chat(streamed(usage=True), key="k")
        await assert_uncharged_failure(w, agent, reply, code, cause)


async def test_an_event_named_error_is_an_error() -> None:
    sse = [": working\n\n", 'event: error\ndata: {"message": "boom"}\n\n']
    async with world(Rule(sse=sse)) as w:
        agent = await w.api.open()
        reply = await agent.chat(streamed())
        assert "boom" in reply.events[-1]["error"]["message"]


async def test_errors_in_a_stream_are_truncated_and_contain_no_key() -> None:
    upstream_key = "upstream-key-0123456789"
    async with world(upstream_api_key=upstream_key) as w:
        agent = await w.api.open()
        text = f"bad key {upstream_key} for {agent.key}, {w.api.key} " + "x" * 100_000
        reported = {"error": {"message": text}, "usage": USED}
        for times, rule in enumerate(
            [Rule(stream_error=reported), Rule(body=reported, status=500)]
        ):
            rule.times = 1
            w.upstream.add(rule)
            for _ in range(2):
                reply = await agent.chat(streamed(), key=f"k{times}")
                assert "bad key [removed]" in reply.text
                assert len(reply.text) < 4_000 or rule.body
                assert not any(key in reply.text for key in (upstream_key, agent.key, w.api.key))


async def test_an_error_with_usage_is_charged_once() -> None:
    reported = {"error": {"message": "cut off", "code": 500}, "usage": USED}
    async with world(Rule(text=TEXT, stream_error=reported)) as w:
        agent = await w.api.open()
        reply = await agent.chat(streamed(), key="k")
        last = reply.events[-1]
        assert (last["error"]["status"], last["usage"]["cost"]) == (500, COST)
        for piece in ("cut off", "0.000030 USD", "Idempotency-Key"):
            assert piece in last["error"]["message"]
        again = await agent.chat(streamed(), key="k")
        assert (again.status, again.headers["x-idempotent-replay"]) == (500, "true")
        assert (again.json["usage"]["cost"], again.error["code"]) == (COST, "upstream_500")
        assert [line["amount"] for line in await agent.ledger()] == [COST]
        assert w.upstream.count == 1


async def test_usage_after_the_error_counts() -> None:
    reported = [{"error": {"message": "cut off"}}, {"choices": [], "usage": USED}]
    sse = [": working\n\n", *(f"data: {json.dumps(each)}\n\n" for each in reported)]
    async with world(Rule(sse=sse)) as w:
        agent = await w.api.open()
        assert (await agent.chat(streamed())).events[-1]["usage"]["cost"] == COST
        assert [line["amount"] for line in await agent.ledger()] == [COST]


async def test_a_timeout_before_the_answer_begins_is_a_plain_error_and_free() -> None:
    async with world(Rule(latency=30, times=1), upstream_timeout_seconds=0.3) as w:
        agent = await w.api.open()
        reply = await agent.chat(streamed(), key="k")
        assert (reply.status, reply.error["code"]) == (504, "upstream_timeout")
        account = await agent.account()
        assert (account["reserved"], account["spent"]) == (0, 0)
        assert account["interrupted"] == {"upstream_broke_off": 1}
        assert (await agent.chat(streamed(), key="k")).content == "ok"


@pytest.mark.parametrize("why", ["time", "size"])
async def test_an_answer_that_the_gateway_cuts_off_is_charged(why: str) -> None:
    """Otherwise a client that requests too many tokens would get almost all of them for free."""
    if why == "time":
        rule = Rule(text=TEXT, chunks=8, gate=asyncio.Event(), times=1)
        settings: dict[str, Any] = {"upstream_timeout_seconds": 1}
    else:
        rule = Rule(text="x" * 4_000, chunks=400, times=1)
        settings = {"gateway_max_stream_bytes": 20_000}
    sent = streamed(usage=True)
    status, code = (504, "upstream_timeout") if why == "time" else (502, "upstream_too_long")
    setting = "UPSTREAM_TIMEOUT_SECONDS" if why == "time" else "GATEWAY_MAX_STREAM_BYTES"
    async with world(rule, **settings) as w:
        agent = await w.api.open()
        reply = await agent.chat(sent, key="k")
        assert 0 < len(reply.content) < 4_000
        last = reply.events[-1]
        assert (last["error"]["code"], last["error"]["status"]) == (code, status)
        assert setting in last["error"]["message"]
        assert (last["usage"]["cost"], last["usage"]["estimated"]) == (full_bound(sent), True)
        again = await agent.chat(sent, key="k")
        assert (again.status, again.error["code"]) == (status, code)
        [line] = await agent.ledger()
        assert (line["amount"], line["estimated"]) == (full_bound(sent), True)
        account = await agent.account()
        assert (account["reserved"], account["interrupted"]) == (0, {})
        assert w.upstream.count == 1


async def test_an_error_is_reported_even_if_the_upstream_keeps_the_connection_open() -> None:
    """It stays the upstream's error: the wait after it is not charged."""
    error = 'data: {"error": {"message": "boom"}}\n\n'
    sse = ['data: {"choices":[{"delta":{"content":"abc"}}]}\n\n' + error, ": never\n\n"]
    rule = Rule(sse=sse, gate=asyncio.Event(), times=1)
    async with world(rule, upstream_timeout_seconds=60) as w:
        agent = await w.api.open()
        reply = await agent.chat(streamed(usage=True), key="k")
        await assert_uncharged_failure(w, agent, reply, "upstream_stream_error", BROKEN)


async def test_an_answer_ends_even_if_the_upstream_keeps_the_connection_open() -> None:
    whole = 'data: {"choices":[{"delta":{"content":"abc"},"finish_reason":"stop"}]}\n\n'
    rule = Rule(sse=[whole + "data: [DONE]\n\n", ": never\n\n"], gate=asyncio.Event())
    async with world(rule, upstream_timeout_seconds=60) as w:
        agent = await w.api.open()
        reply = await agent.chat(streamed())
        assert (reply.content, reply.events[-1]) == ("abc", "[DONE]")


async def test_a_lease_that_expired_is_reported_in_the_stream() -> None:
    gate = asyncio.Event()
    async with world(Rule(text=TEXT, gate=gate, times=1)) as w:
        agent = await w.api.open()
        store = w.gateway.server.store
        async with agent.stream(key="k") as stream:
            await stream.content.readuntil(b"\n\n")
            [call_id] = await pending(w)
            await store.release(call_id, InterruptionCause.LEASE_EXPIRED)
            gate.set()
            rest = await stream.text()
        assert "lease_expired" in rest
        assert "[DONE]" not in rest
        account = await agent.account()
        assert (account["spent"], account["reserved"]) == (0, 0)
        assert account["interrupted"] == {"lease_expired": 1}


async def pending(w: World) -> list[str]:
    with sqlite3.connect(w.gateway.database) as connection:
        return [
            row[0] for row in connection.execute("SELECT id FROM calls WHERE state = 'pending'")
        ]


@pytest.mark.parametrize(
    ("mistake", "code"), [(StoreError("full"), "store_unavailable"), (KeyError("x"), "internal")]
)
async def test_a_stream_whose_charge_cannot_be_written_ends_with_an_error(
    mistake: Exception, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_service, "SETTLE_PAUSES", ())
    monkeypatch.setattr(call_service, "LONGEST_SETTLE_PAUSE", 1_000)  # longer than any lease

    async def settle(_: object) -> None:
        raise mistake

    async with world(Rule(text=TEXT)) as w:
        agent = await w.api.open()
        monkeypatch.setattr(w.gateway.server.store, "settle", settle)
        reply = await agent.chat(streamed(), key="k")
        assert reply.content == TEXT
        assert reply.events[-1]["error"]["code"] == code
        assert "[DONE]" not in reply.text
        monkeypatch.undo()


async def test_a_plain_answer_and_a_streamed_one_cost_the_same() -> None:
    async with world(Rule(text=TEXT, usage=USED)) as w:
        agent = await w.api.open()
        await agent.chat(body())
        await agent.chat(streamed())
        assert [line["amount"] for line in await agent.ledger()] == [COST, COST]
