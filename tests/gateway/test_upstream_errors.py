"""Errors of upstreams, over HTTP: inside a 200, in a stream, about the operator's money; and how
long they ask to wait. What was not billed is not charged."""

import asyncio
import json
import time
from decimal import Decimal
from typing import Any

import pytest

from durable_agent_team.gateway.upstreams import out_of_funds
from durable_agent_team.gateway.upstreams.out_of_funds import OutOfFunds
from tests.gateway.client import Agent, World, body, error_of, streamed, world
from tests.support.upstream import Rule

ZERO = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
USED = {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25}
LIMITED = {"message": "Provider returned error", "code": 429}
NO_CREDITS = {"message": "Insufficient credits", "code": 402}
EITHER = pytest.mark.parametrize("sent", [body(), streamed()], ids=["plain", "stream"])


def answered(content: str | None = None, finish: str = "stop", **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": content}}
    return {"id": "c", "choices": [{**choice, "finish_reason": finish}], **more}


def in_choice(error: dict[str, Any]) -> dict[str, Any]:
    """As OpenRouter puts it: https://openrouter.ai/docs/api-reference/errors."""
    found = answered("", "error", usage=ZERO)
    found["choices"][0]["error"] = error
    return found


INSIDE: dict[str, tuple[Any, int, str]] = {
    "beside an empty choice": (answered(usage=ZERO, error=LIMITED), 429, "upstream_429"),
    "without usage": (answered(error=LIMITED), 429, "upstream_429"),
    "in the choice": (in_choice(LIMITED), 429, "upstream_429"),
    "instead of choices": ({"error": NO_CREDITS}, 503, "upstream_out_of_funds"),
    "with empty choices": ({"choices": [], "error": LIMITED}, 429, "upstream_429"),
    "Anthropic": (
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
        529,
        "upstream_529",
    ),
    "a list": (
        [{"error": {"code": 429, "message": "x", "status": "RESOURCE_EXHAUSTED"}}],
        429,
        "upstream_429",
    ),
    "final": ({"error": {"message": "no", "code": "model_not_found"}}, 404, "model_not_found"),
    "unknown": ({"error": "boom"}, 502, "upstream_error"),
    "only a finish_reason": (answered("", "error", usage=ZERO), 502, "upstream_error"),
}


async def assert_free(agent: Agent) -> None:
    account = await agent.account()
    assert (account["spent"], account["reserved"]) == (0, 0)
    assert (account["interrupted"], account["possibly_billed_calls"]) == ({}, 0)
    assert await agent.ledger() == []


@EITHER
@pytest.mark.parametrize("which", INSIDE)
async def test_an_error_inside_a_200_is_an_error_and_free(which: str, sent: dict[str, Any]) -> None:
    inside, status, code = INSIDE[which]
    async with world(Rule(body=inside, times=1), upstream_circuit_failures=0) as w:
        agent = await w.api.open()
        reply = await agent.chat(sent, key="k")
        assert (reply.status, reply.error["code"]) == (status, code)
        assert reply.error["type"] == "upstream_error"
        await assert_free(agent)
        again = await agent.chat(sent, key="k")
        assert (again.status, w.upstream.count) == (200, 2), "the key is still open"


@pytest.mark.parametrize("nothing", [None, {}, "", [], False, {"message": None, "code": None}])
async def test_an_error_that_says_nothing_is_none(nothing: Any) -> None:
    async with world(Rule(body=answered("hi", usage=USED, error=nothing))) as w:
        agent = await w.api.open()
        assert (await agent.chat()).json["choices"][0]["message"]["content"] == "hi"
        assert len(await agent.ledger()) == 1


async def test_an_answer_with_an_error_beside_it_is_an_answer() -> None:
    async with world(Rule(body=answered("hi", usage=USED, error={"message": "a warning"}))) as w:
        agent = await w.api.open()
        reply = await agent.chat()
        assert (reply.status, reply.json["usage"]["cost"]) == (200, Decimal("0.00003"))


@pytest.mark.parametrize(
    ("billed", "estimated"),
    [
        (answered("half an", "error", usage=USED), False),
        (answered("half an", "error"), True),
        (answered("", usage=USED, error=LIMITED), False),
    ],
)
async def test_a_failed_answer_that_was_billed_is_charged_once(
    billed: dict[str, Any], estimated: bool
) -> None:
    async with world(Rule(body=billed), upstream_circuit_failures=0) as w:
        agent = await w.api.open()
        for _ in range(2):
            reply = await agent.chat(key="k")
            assert reply.status in (429, 502)
            assert reply.json["usage"]["cost"] > 0
        [line] = await agent.ledger()
        assert line["estimated"] == estimated
        assert w.upstream.count == 1


def event(data: Any) -> str:
    return f"data: {json.dumps(data)}\n\n"


ROLE = event({"choices": [{"delta": {"role": "assistant", "content": ""}}]})
TEXT = event({"choices": [{"delta": {"content": "half an"}}]})
BAD = event({"choices": [{"delta": {"content": ""}, "finish_reason": "error"}], "usage": ZERO})
DONE = "data: [DONE]\n\n"


@pytest.mark.parametrize(
    ("sse", "status", "billed"),
    [
        ([event({"error": LIMITED})], 429, False),
        ([event({"choices": [], "error": NO_CREDITS})], 503, False),
        ([event([{"error": {"code": 503, "status": "UNAVAILABLE"}}])], 503, False),
        ([ROLE, event({"error": LIMITED, "choices": [{"finish_reason": "error"}]})], 429, False),
        ([ROLE, event(in_choice(LIMITED) | {"usage": None})], 429, False),
        ([ROLE, BAD, DONE], 502, False),
        (
            [ROLE, event({"choices": [{"finish_reason": "stop"}]}), event({"error": LIMITED})],
            429,
            0,
        ),
        ([TEXT, event({"error": LIMITED})], 429, True),
        ([TEXT, BAD, DONE], 502, True),
    ],
)
async def test_an_error_in_a_stream(sse: list[str], status: int, billed: bool) -> None:
    async with world(Rule(sse=sse), upstream_circuit_failures=0) as w:
        agent = await w.api.open()
        reply = await agent.chat(streamed())
        assert error_of(reply)["status"] == status
        assert "[DONE]" not in reply.text
        account = await agent.account()
        assert (account["spent"], account["reserved"]) == (0, 0)
        assert account["possibly_billed_calls"] == billed


@pytest.mark.parametrize(
    ("status", "headers", "inside", "seconds"),
    [
        (429, {"retry-after-ms": "61500"}, {}, "62"),
        (429, {"Retry-After": "0.5"}, {}, "1"),
        (529, {"Retry-After": "7"}, {}, "7"),
        (
            429,
            {"x-ratelimit-reset-requests": "6m0s", "x-ratelimit-reset-tokens": "20ms"},
            {},
            "360",
        ),
        (
            429,
            {},
            {"details": [{"@type": "x/google.rpc.RetryInfo", "retryDelay": "34.2s"}]},
            "35",
        ),
        (400, {"Retry-After": "7"}, {}, None),
        (429, {"Retry-After": "soon"}, {}, None),
    ],
)
async def test_how_long_to_wait_is_told_in_one_way(
    status: int, headers: dict[str, str], inside: dict[str, Any], seconds: str | None
) -> None:
    error = {"error": {"message": "no", **inside}}
    async with world(Rule(status=status, headers=headers, body=error)) as w:
        reply = await (await w.api.open()).chat()
        assert reply.headers.get("retry-after") == seconds


def pass_time(w: World, seconds: float) -> None:
    """On the clock of the gateway's guard of its upstream: so much in all."""
    router: Any = w.gateway.server.upstream
    [guarded] = router._upstreams.values()
    guarded._clock = lambda: time.monotonic() + seconds


UNPAID = [
    (429, {"code": "insufficient_quota", "type": "insufficient_quota"}),
    (402, {"type": "unknown_error", "code": "invalid_request_error"}),
    (400, {"type": "billing_error"}),
    (200, NO_CREDITS),
]


@pytest.mark.parametrize(("status", "error"), UNPAID)
async def test_an_upstream_out_of_funds_gets_no_calls_but_a_probe(
    status: int, error: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(out_of_funds, "PROBE_SECONDS", 100.0)  # longer than the test
    unpaid = Rule(status=status, body={"error": {"message": "pay", **error}})
    async with world(unpaid) as w:
        agent = await w.api.open()
        first = await agent.chat(key="k")
        assert first.error["code"] == "upstream_out_of_funds"
        assert first.error["upstream_status"] == (402 if status == 200 else status)
        replies = await asyncio.gather(*(agent.chat(body(model="smollm2-135m")) for _ in range(20)))
        assert w.upstream.count == 1, "the whole upstream, not one model"
        for reply in replies:
            assert (reply.status, reply.error["code"]) == (503, "upstream_out_of_funds")
            assert "upstream_status" not in reply.error
            assert 50 <= int(reply.headers["retry-after"]) <= 100
        health = await w.api.send("GET", "/healthz", key="")
        assert "all models" in health.json["open_circuits"]
        await assert_free(agent)
        pass_time(w, 101)
        await asyncio.gather(*(agent.chat() for _ in range(20)))
        assert w.upstream.count == 2, "one probe"
        unpaid.times = 0
        pass_time(w, 202)
        assert (await agent.chat(key="k")).status == 200
        replies = await asyncio.gather(*(agent.chat() for _ in range(20)))
        assert {each.status for each in replies} == {200}


@pytest.mark.parametrize("status", [429, 403, 400])
async def test_words_about_money_are_no_code(status: int) -> None:
    text = "You exceeded your current quota: insufficient_quota, your credit balance is too low"
    async with world(Rule(status=status, body={"error": {"message": text, "type": text}})) as w:
        reply = await (await w.api.open()).chat()
        assert reply.error["code"] == f"upstream_{status}"


def test_only_the_probe_closes_it() -> None:
    funds = OutOfFunds()
    assert funds.admit(0) is None
    assert funds.refused(0, probe=False)
    assert not funds.answered(probe=False), "it was in flight before"
    assert funds.admit(1)
    assert funds.admit(3) is None
    assert funds.admit(3), "one at a time"
    funds.ended(3, probe=True)
    assert funds.admit(4)
    assert funds.admit(6) is None
    assert funds.answered(probe=True)
    assert funds.admit(6) is None
