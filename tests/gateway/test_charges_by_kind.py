"""What a call is charged, whole and streamed: by kind of token, as the ledger and the agent see it.

The two answers at the top are in the shape of public reports.
"""

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from durable_agent_team.gateway.api_error import ApiError
from durable_agent_team.gateway.calls.answer import CONTENT_FIELDS, interpret_response
from durable_agent_team.gateway.calls.charge import BilledAnswer
from durable_agent_team.gateway.calls.chat_request import ChatRequest, parse_chat_request
from durable_agent_team.gateway.calls.relay import Relay
from durable_agent_team.gateway.calls.sse import DONE, event
from durable_agent_team.gateway.calls.streamed_answer import StreamedAnswer
from durable_agent_team.gateway.models.model_table import ModelTable
from durable_agent_team.gateway.models.price import Price
from durable_agent_team.gateway.models.price_file import Prices
from tests.gateway.client import body, streamed, world
from tests.gateway.test_token_prices import ALL_KINDS, CACHED, FLEX, LONG
from tests.support.upstream import Rule

CACHED_PROMPT = {
    "prompt_tokens": 17111,
    "completion_tokens": 300,
    "total_tokens": 17411,
    "prompt_tokens_details": {"cached_tokens": 17000},
}
THINKING_OUTSIDE = {
    "prompt_tokens": 32,
    "completion_tokens": 9,
    "total_tokens": 135,
    "prompt_tokens_details": {"cached_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 94},
}
CHEAP = {"input_usd_per_million": "0.20", "output_usd_per_million": "0.50"}
LONG_TEXT = body("x" * 20_000, 1_000)


def request(price: dict[str, Any], sent: dict[str, Any] = LONG_TEXT) -> ChatRequest:
    priced = Price.model_validate({**price, "source": "the test's prices"})
    return parse_chat_request(
        json.dumps(sent).encode(), ModelTable.of(Prices(Path("x"), {"m": priced}))
    )


def whole(usage: Any, asked: ChatRequest, **more: Any) -> BilledAnswer:
    choice = {"message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}
    data = {"choices": [choice], "usage": usage, **more}
    result = interpret_response(200, {}, json.dumps(data).encode(), asked)
    assert isinstance(result, BilledAnswer)
    return result


def in_chunks(asked: ChatRequest, *chunks: dict[str, Any]) -> BilledAnswer:
    answer = StreamedAnswer(replace(asked, stream=True, include_usage=True), Relay(keep=False))
    text = {"choices": [{"index": 0, "delta": {"content": "ok"}, "finish_reason": None}]}
    for chunk in (text, *chunks):
        answer.feed(event(json.dumps(chunk).encode()))
    answer.feed(event(DONE))
    answer.end_of_stream()
    result = answer.result()
    assert isinstance(result, BilledAnswer)
    return result


def shown(billed: BilledAnswer) -> dict[str, Any]:
    """The usage that the agent gets."""
    if not billed.tail:
        found: dict[str, Any] = json.loads(billed.body)["usage"]
        return found
    found = json.loads(billed.tail.split(b"data: ")[1])["usage"]
    return found


def last(finish: str | None = "stop", **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {}, "finish_reason": finish, **more}]}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("usage", "price", "amount", "tokens"),
    [
        (CACHED_PROMPT, CACHED, "0.005264", (17111, 300, 17000, 0)),
        (THINKING_OUTSIDE, CHEAP, "0.000058", (32, 103, 0, 94)),
    ],
)
async def test_the_ledger_and_the_agent_see_the_same_price_by_kind(
    usage: dict[str, Any],
    price: dict[str, str],
    amount: str,
    tokens: tuple[int, int, int, int],
    stream: bool,
) -> None:
    async with world(Rule(usage=usage), prices={"m": price}) as w:
        agent = await w.api.open()
        text = "x" * 20_000
        sent = streamed(text, usage=True, max_tokens=400) if stream else body(text, 400)
        for _ in range(2):
            reply = await agent.chat(sent, key="k")
            assert reply.status == 200
            told = reply.events[-2]["usage"] if stream else reply.json["usage"]
            assert told["cost"] == Decimal(amount)
            assert (told["prompt_tokens"], told["completion_tokens"]) == tokens[:2]
            assert told["total_tokens"] == sum(tokens[:2])
            assert told["prompt_tokens_details"]["cached_tokens"] == tokens[2]
        [line] = await agent.ledger()
        names = ("prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens")
        assert tuple(line[name] for name in names) == tokens
        assert (line["amount"], line["estimated"], line["overrun"]) == (Decimal(amount), False, 0)
        assert line["saved_usd"] == (Decimal("0.019125") if tokens[2] else 0)
        assert told.get("saved_usd", 0) == line["saved_usd"]


def test_a_long_prompt_is_charged_and_reserved_at_its_own_price() -> None:
    asked = request(LONG, body("x" * 250_000, 1_000))
    billed = whole({"prompt_tokens": 250_000, "completion_tokens": 1_000}, asked)
    assert (billed.amount, billed.overrun) == (1_012_000, 0)
    assert asked.bound >= billed.amount


GOOD = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
ZEROS = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


@pytest.mark.parametrize(
    "chunks",
    [
        [last(), {"choices": [], "usage": GOOD}],
        [{**last(), "usage": GOOD}],
        [{**last(), "usage": GOOD}, {"choices": [], "usage": ZEROS}],
        [{**last(), "usage": GOOD}, {"choices": [], "usage": {**GOOD, "completion_tokens": 0}}],
        [last(usage=GOOD)],
        [last(usage=GOOD), {"choices": [], "usage": ZEROS}],
        [{**last(), "x_groq": {"id": "req", "usage": GOOD}}],
        [
            {**last(None), "usage": {**GOOD, "completion_tokens": 1, "total_tokens": 101}},
            {**last(), "usage": GOOD},
        ],
        [{**last(), "usage": GOOD}, {"choices": [], "usage": None}],
        [
            {**last(None), "usage": {"prompt_tokens": 100, "completion_tokens": 1}},
            {**last(), "usage": {"completion_tokens": 20}},
        ],
        [
            {**last(None), "usage": {"completion_tokens": 1}},
            {**last(), "usage": {"completion_tokens": 20, "prompt_tokens": 0}},
            {"choices": [], "usage": {"prompt_tokens": 100}},
        ],
    ],
)
def test_usage_is_found_wherever_a_stream_has_it(chunks: list[dict[str, Any]]) -> None:
    billed = in_chunks(request(CACHED), *chunks)
    assert (billed.usage.prompt_tokens, billed.usage.completion_tokens) == (100, 20)
    assert (billed.amount, billed.estimated) == (325, False)


BEGUN = {"prompt_tokens": 100, "completion_tokens": 1, "total_tokens": 101}


@pytest.mark.parametrize(
    "later",
    [
        {"prompt_tokens": 7, "completion_tokens": 20, "total_tokens": 27},
        {"promptTokens": 7, "completionTokens": 20, "totalTokens": 27},
        {"input_tokens": 7, "output_tokens": 20},
    ],
)
def test_of_two_usages_that_contradict_each_other_each_count_is_the_larger_one(
    later: dict[str, Any],
) -> None:
    for chunks in ((BEGUN, later), (later, BEGUN)):
        told = [{**last(None), "usage": chunks[0]}, {**last(), "usage": chunks[1]}]
        billed = in_chunks(request(CACHED), *told)
        assert (billed.usage.prompt_tokens, billed.usage.completion_tokens) == (100, 20)
        assert (billed.amount, billed.estimated) == (325, False)


def test_an_earlier_count_is_not_taken_for_a_later_one_that_cannot_be_believed() -> None:
    asked = request(CACHED)
    for count in (20.5, "20 tokens", -1, True, [20]):
        bad = {**last(), "usage": {**GOOD, "completion_tokens": count}}
        billed = in_chunks(asked, {**last(None), "usage": BEGUN}, bad)
        assert (billed.amount, billed.estimated) == (asked.bound, True)
        billed = in_chunks(asked, bad, {"choices": [], "usage": GOOD})
        assert (billed.amount, billed.estimated) == (325, False)


@pytest.mark.parametrize("name", CONTENT_FIELDS)
def test_an_answer_of_no_tokens_that_says_something_costs_the_bound(name: str) -> None:
    asked = request(CACHED)
    message = {"role": "assistant", "content": None, name: "Something."}
    usage = {"prompt_tokens": 100, "completion_tokens": 0}
    answer = {"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}
    billed = interpret_response(200, {}, json.dumps(answer).encode(), asked)
    assert isinstance(billed, BilledAnswer)
    assert (billed.amount, billed.estimated) == (asked.bound, True)


def test_cached_tokens_that_no_prompt_of_the_request_can_have_are_no_overrun() -> None:
    asked = request(CACHED)
    told = {**GOOD, "prompt_tokens_details": {"cached_tokens": 2_000}}
    assert whole(told, asked).amount == 125 + 2_000 * 125 // 1_000 + 200
    told["prompt_tokens_details"] = {"cached_tokens": 10**9}
    billed = whole(told, asked)
    assert (billed.amount, billed.overrun, billed.estimated) == (325, 0, False)


def test_an_event_that_is_a_ping_is_no_chunk() -> None:
    relay = Relay(keep=True)
    answer = StreamedAnswer(replace(request(CACHED), stream=True), relay)
    answer.feed(b'event: ping\ndata: {"type": "ping"}\n\n')
    assert b"".join(relay._unread) == b":ping\n\n"


def test_no_chunk_shows_another_usage_than_the_charged_one() -> None:
    relay = Relay(keep=True)
    answer = StreamedAnswer(replace(request(CACHED), stream=True), relay)
    for chunk in (
        {**last(None), "x_groq": {"id": "req", "usage": GOOD}},
        last(usage={**GOOD, "cost": 5}),
        {"choices": [], "usage": {**GOOD, "cost": 5}},
    ):
        answer.feed(event(json.dumps(chunk).encode()))
    passed = b"".join(relay._unread)
    assert b"prompt_tokens" not in passed
    assert b"cost" not in passed
    assert b'"x_groq":{"id":"req"}' in passed


def test_the_kinds_that_one_chunk_tells_are_kept() -> None:
    told = {**GOOD, "prompt_tokens_details": {"cached_tokens": 80}}
    for first, second in ((GOOD, told), (told, GOOD)):
        billed = in_chunks(
            request(CACHED), {**last(), "usage": first}, {"choices": [], "usage": second}
        )
        assert (billed.amount, billed.usage.cached_tokens) == (235, 80)


@pytest.mark.parametrize("count", [-1, True, 1.5, "2e1", 10**12])
@pytest.mark.parametrize("field", ["prompt_tokens", "completion_tokens"])
def test_a_count_that_cannot_be_believed_costs_the_bound(field: str, count: Any) -> None:
    asked = request(CACHED)
    for billed in (
        whole({**GOOD, field: count}, asked),
        in_chunks(asked, {**last(), "usage": {**GOOD, field: count}}),
    ):
        assert (billed.amount, billed.estimated) == (asked.bound, True)
        assert shown(billed)["cost"] == asked.bound / 10**6


def test_an_answer_is_never_charged_above_its_bound() -> None:
    asked = request(CACHED)
    billed = whole({**GOOD, "total_tokens": 10**9}, asked)
    assert billed.amount == asked.bound
    assert billed.overrun > 0


def test_the_cost_of_an_upstream_counts_where_it_is_more_and_where_it_is_believed() -> None:
    asked = request(CACHED)
    believed = replace(asked, target=replace(asked.target, trust_cost=True))
    for cost, amount in ((0.0001, 325), (0.0005, 500)):
        assert whole({**GOOD, "cost": cost}, asked).amount == amount
        billed = whole({**GOOD, "cost": cost}, believed)
        assert (billed.amount, billed.estimated) == (round(cost * 10**6), False)
        assert billed.price_source == "reported by the upstream"
        assert shown(billed)["cost"] == cost
    assert whole(GOOD, believed).amount == 325
    assert whole({**GOOD, "cost": 0}, believed).amount == 325  # never free
    assert whole({**GOOD, "cost": -1}, believed).estimated
    assert whole(None, believed, cost=0.0001).amount == 100
    assert whole(GOOD, believed).price_source == "the test's prices"


@pytest.mark.parametrize(
    ("usage", "amount"),
    [
        ({"cost_in_usd_ticks": 37_756_000}, 3_776),
        ({"estimated_cost": 0.0026}, 2_600),
        ({"cost": {"input_tokens_cost": 1, "total_cost": 0.002}}, 2_000),
        (
            {
                "cost": 0.0005,
                "is_byok": True,
                "cost_details": {"upstream_inference_cost": 0.01},
            },
            10_500,
        ),
        ({"cost": 0, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.01}}, 10_000),
        ({"cost": 0.0005, "cost_details": {"upstream_inference_cost": 0.0005}}, 500),
    ],
)
def test_the_cost_is_read_as_each_router_writes_it(usage: dict[str, Any], amount: int) -> None:
    asked = request(CACHED)
    believed = replace(asked, target=replace(asked.target, trust_cost=True))
    billed = whole({**GOOD, **usage}, believed)
    assert billed.amount == amount
    assert not {"cost_in_usd_ticks", "cost_details", "estimated_cost"} & shown(billed).keys()


def test_the_service_tier_that_served_the_call_is_charged() -> None:
    asked = request(FLEX, {**LONG_TEXT, "service_tier": "flex"})
    used = {"prompt_tokens": 1_000, "completion_tokens": 100}
    assert whole(used, asked, service_tier="flex").amount == 1_400
    assert whole(used, asked, service_tier="default").amount == 2_800
    assert whole({**used, "service_tier": "flex"}, asked).amount == 1_400
    chunk = {**last(), "service_tier": "flex", "usage": used}
    assert in_chunks(asked, chunk).amount == 1_400
    dear = request(FLEX, {**LONG_TEXT, "service_tier": "priority"})
    assert dear.bound == 2 * request(FLEX, {**LONG_TEXT, "service_tier": "auto"}).bound + 4 * 4


def test_a_service_tier_without_a_price_is_refused() -> None:
    for tier in ("priority", "", 5, ["flex"]):
        with pytest.raises(ApiError, match="`service_tier`"):
            request(CACHED, {**LONG_TEXT, "service_tier": tier})


def test_a_cache_of_an_hour_is_reserved_where_it_is_asked_for() -> None:
    part = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    sent = {**body(), "messages": [{"role": "user", "content": [part]}]}
    asked = request(ALL_KINDS, sent)
    size = asked.bound - 5_000 - 10 * 40
    assert size == 2 * (len(asked.body) + 16 + 64)
