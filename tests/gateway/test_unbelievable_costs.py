"""An upstream's usage and cost that cannot be believed: the bound is charged, as an estimate."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest

from durable_agent_team.gateway.calls.upstream_cost import reported_cost
from tests.gateway.client import Agent, body, bound, streamed, world
from tests.support.upstream import Rule

USED = '{"prompt_tokens": 20, "completion_tokens": 5}'
COST = Decimal("0.00003")
BOUND = {
    False: Decimal(bound(body())) / 10**6,
    True: Decimal(bound(streamed(usage=True))) / 10**6,
}
UNBELIEVABLE = [
    '"1e999999"',
    "1e999999",
    "-1",
    "-1e-9",
    '"-1"',
    "NaN",
    "Infinity",
    '"NaN"',
    "9" * 400,
    '"' + "9" * 400 + '"',
    "9" * 5_000,
    str(2**63),
    "1e30",
    "[0.1]",
    "true",
    '"1_0"',
    '"٣"',
    '"free"',
    r'"\ud800"',
]


@asynccontextmanager
async def answering(plain: str, chunks: str, stream: bool) -> AsyncIterator[Agent]:
    rule = Rule(sse=[f"data: {chunks}\n\n", "data: [DONE]\n\n"]) if stream else Rule(body=plain)
    async with world(rule) as w:
        yield await w.api.open()


def answer(more: str, usage: str = USED) -> tuple[str, str]:
    """A whole answer, and the same as a chunk."""
    plain = '{"choices": [{"message": {"content": "hi"}}]'
    chunk = '{"choices": [{"delta": {"content": "hi"}, "finish_reason": "stop"}]'
    return tuple(f'{each}, "usage": {usage}{more}}}' for each in (plain, chunk))  # type: ignore


async def charged(agent: Agent, stream: bool) -> tuple[Decimal, bool]:
    """Makes the call twice under one key: it is paid once."""
    for _ in range(2):
        reply = await agent.chat(streamed(usage=True) if stream else body(), key="k")
        assert reply.status == 200
        assert (reply.content if stream else reply.json["choices"][0]["message"]["content"]) == "hi"
        usage = reply.events[-2]["usage"] if stream else reply.json["usage"]
        json.dumps(json.loads(reply.text) if not stream else {}, allow_nan=False, default=str)
    (line,) = await agent.ledger()
    assert usage["cost"] == line["amount"]
    assert usage.get("estimated", False) == line["estimated"]
    account = await agent.account()
    assert (account["spent"], account["reserved"]) == (line["amount"], 0)
    return line["amount"], line["estimated"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("cost", UNBELIEVABLE)
async def test_a_cost_that_cannot_be_believed_costs_the_bound(cost: str, stream: bool) -> None:
    for more in (f', "cost": {cost}', f', "_meta": {{"cascade": {{"cost_usd": {cost}}}}}'):
        async with answering(*answer(more), stream) as agent:
            assert await charged(agent, stream) == (BOUND[stream], True)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("tokens", [*UNBELIEVABLE, "0", "0.5", "null", "{}", str(10**12)])
async def test_usage_that_cannot_be_believed_costs_the_bound(tokens: str, stream: bool) -> None:
    usage = f'{{"prompt_tokens": {tokens}, "completion_tokens": 5}}'
    async with answering(*answer("", usage), stream) as agent:
        assert await charged(agent, stream) == (BOUND[stream], True)


@pytest.mark.parametrize("cost", ["null", "0", "0.0", '"0"', "[]", "{}", '{"total": 1}'])
async def test_a_cost_that_is_not_reported_is_computed(cost: str) -> None:
    async with answering(*answer(f', "cost": {cost}'), False) as agent:
        assert await charged(agent, False) == (COST, False)


async def test_tokens_that_cost_more_than_any_account_are_not_an_overrun() -> None:
    usage = {"prompt_tokens": 10**12 - 1, "completion_tokens": 10**12 - 1}
    prices = {"m": {"input_usd_per_million": "1000000", "output_usd_per_million": "1000000"}}
    async with world(Rule(usage=usage), prices=prices) as w:
        agent = await w.api.open(100_000)
        for _ in range(2):
            assert (await agent.chat()).json["usage"]["estimated"] is True
        assert [line["overrun"] for line in await agent.ledger()] == [0, 0]


@pytest.mark.parametrize(
    ("cost", "micro"),
    [
        (1e-7, 1),
        ("0.0000579", 58),
        (" 1.5 ", 1_500_000),
        (10**9, None),
        ("1e3", 10**9),
        (0.1, 10**5),
    ],
)
def test_a_cost_is_read_exactly_and_rounded_up(cost: Any, micro: int | None) -> None:
    assert reported_cost({"cost": cost}) == micro
