"""Known bugs of other gateways: this one must not have them."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from durable_agent_team.gateway import server
from tests.gateway.client import body, bound, streamed, world
from tests.support.gateway import PRICES
from tests.support.upstream import Rule

USED = {"prompt_tokens": 20, "completion_tokens": 5}


@pytest.mark.parametrize(
    "usage",
    [
        "missing",
        "zero",
        {"prompt_tokens": 20, "completion_tokens": 0},
        {"prompt_tokens": 0, "completion_tokens": 5},
        {"prompt_tokens": -5, "completion_tokens": 5},
        {"prompt_tokens": "20 tokens", "completion_tokens": 5},
        {"prompt_tokens": True, "completion_tokens": True},
        {"cost": 0},
    ],
)
async def test_implausible_usage_is_charged_the_bound_not_zero(usage: object) -> None:
    sent = body()
    async with world(Rule.from_json({"usage": usage})) as w:
        agent = await w.api.open()
        reply = await agent.chat(sent)
        assert reply.status == 200
        charged = Decimal(bound(sent)) / 10**6
        assert (reply.json["usage"]["cost"], reply.json["usage"]["estimated"]) == (charged, True)
        [line] = await agent.ledger()
        assert (line["amount"], line["estimated"]) == (charged, True)
        assert (await agent.account())["spent"] == charged


@pytest.mark.parametrize("wants_usage", [True, False])
@pytest.mark.parametrize(
    "usage",
    [
        "missing",
        "zero",
        {"prompt_tokens": 20, "completion_tokens": 0},
        {"prompt_tokens": 0, "completion_tokens": 5},
        {"cost": 0},
        {},
    ],
)
async def test_implausible_streamed_usage_is_charged_the_bound_not_zero(
    usage: object, wants_usage: bool
) -> None:
    sent = streamed(usage=wants_usage)
    charged = Decimal(bound({**sent, "stream_options": {"include_usage": True}})) / 10**6
    async with world(Rule.from_json({"usage": usage})) as w:
        agent = await w.api.open()
        for _ in range(2):
            reply = await agent.chat(sent, key="k")
            assert (reply.content, reply.events[-1]) == ("ok", "[DONE]")
            if wants_usage:
                shown = reply.events[-2]["usage"]
                assert (shown["cost"], shown["estimated"]) == (charged, True)
        [line] = await agent.ledger()
        assert (line["amount"], line["estimated"]) == (charged, True)


async def test_a_streamed_upstream_cost_of_zero_is_ignored() -> None:
    """LiteLLM #37924."""
    async with world(Rule(usage={**USED, "cost": 0})) as w:
        agent = await w.api.open()
        reply = await agent.chat(streamed(usage=True))
        assert reply.events[-2]["usage"]["cost"] == Decimal("0.00003")
        assert (await agent.account())["spent"] == Decimal("0.00003")


async def test_the_operator_pays_what_a_streamed_answer_costs_above_its_bound() -> None:
    used = {"prompt_tokens": 1_000, "completion_tokens": 100}
    sent = streamed(usage=True)
    need = Decimal(bound(sent)) / 10**6
    async with world(Rule(usage=used, times=1)) as w:
        agent = await w.api.open(f"{need}")
        reply = await agent.chat(sent)
        assert reply.events[-2]["usage"]["cost"] == need
        [line] = await agent.ledger()
        assert (line["amount"], line["overrun"]) == (need, Decimal("0.0012") - need)
        refused = await agent.chat(sent)
        assert (refused.status, refused.error["code"]) == (400, "model_refused")


async def test_an_upstream_cost_of_zero_is_ignored() -> None:
    async with world(Rule(usage={**USED, "cost": 0})) as w:
        agent = await w.api.open()
        assert (await agent.chat()).json["usage"]["cost"] == Decimal("0.00003")


async def test_a_higher_upstream_cost_is_charged() -> None:
    async with world(Rule(usage={**USED, "cost": 0.0000351})) as w:
        agent = await w.api.open()
        assert (await agent.chat()).json["usage"]["cost"] == Decimal("0.000036")


async def test_failed_calls_do_not_leak_reservations() -> None:
    """The account can pay two calls at once; 80 calls fail, in every possible way."""
    rules = [
        Rule(status=500, times=10),
        Rule(status=429, times=10),
        Rule(status=402, times=10),
        Rule(disconnect="before", times=10),
        Rule(disconnect="middle", times=10),
        Rule(body="{", times=10),
        Rule(choices=False, usage="zero", times=10),
        Rule(latency=1, times=10),
    ]
    sent = body()
    async with world(*rules, upstream_timeout_seconds=0.4, upstream_circuit_failures=0) as w:
        agent = await w.api.open(f"{Decimal(2 * bound(sent)) / 10**6}")
        for _ in range(40):
            replies = await asyncio.gather(agent.chat(sent), agent.chat(sent))
            assert all(r.status not in (200, 402) for r in replies)
        account = await agent.account()
        assert (account["reserved"], account["spent"]) == (0, 0)
        assert (await agent.chat(sent)).status == 200


async def test_failed_streams_do_not_leak_reservations() -> None:
    rules = [
        Rule(status=500, times=10),
        Rule(disconnect="before", times=10),
        Rule(disconnect="middle", times=10),
        Rule(stream_error={"error": {"message": "boom"}}, times=10),
        Rule(sse=["data: {\n\n"], times=10),
        Rule(choices=False, usage="zero", times=10),
        Rule(finish=False, done=False, usage="missing", times=10),
        Rule(body="<html>", times=10),
    ]
    sent = streamed(usage=True)
    async with world(*rules, upstream_circuit_failures=0) as w:
        agent = await w.api.open(f"{Decimal(2 * bound(sent)) / 10**6}")
        for _ in range(40):
            for reply in await asyncio.gather(agent.chat(sent), agent.chat(sent)):
                assert reply.status not in (200, 402) or "error" in reply.events[-1]
        account = await agent.account()
        assert (account["reserved"], account["spent"]) == (0, 0)
        assert (await agent.chat(sent)).content == "ok"


async def test_after_an_overrun_the_operator_pays_it_and_the_model_is_refused() -> None:
    sent = body()
    need = bound(sent)
    used = {"prompt_tokens": need, "completion_tokens": 100}
    async with world(Rule(usage=used, times=1)) as w:
        agent = await w.api.open(f"{Decimal(need) / 10**6}")
        reply = await agent.chat(sent, key="k")
        assert reply.status == 200
        assert reply.json["usage"]["cost"] == Decimal(need) / 10**6
        account = await agent.account()
        assert (account["balance"], account["reserved"]) == (0, 0)
        [line] = await agent.ledger()
        assert line["overrun"] == Decimal("0.0002")

        other = await w.api.open()
        refused = await other.chat()
        assert (refused.status, refused.error["code"]) == (400, "model_refused")
        assert "0.000200" in refused.error["message"]
        assert (await other.chat(body() | {"model": "smollm2-135m"})).status == 200
        shown = (await w.api.send("GET", "/v1/models")).json["data"][1]
        assert (shown["status"], shown["overrun_usd"]) == ("refused", Decimal("0.0002"))
        health = await w.api.send("GET", "/healthz")
        assert health.json["overrun_usd"] == Decimal("0.0002")


async def test_another_gateway_on_the_database_refuses_the_model_soon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "RELEASE_SECONDS", 0.05)
    used = {"prompt_tokens": 1000, "completion_tokens": 10}
    async with world(Rule(usage=used)) as w, world(database=w.gateway.database) as other:
        agent = await w.api.open()
        await agent.chat()
        async with asyncio.timeout(30):
            while "refused" not in (await other.api.send("GET", "/v1/models")).text:
                await asyncio.sleep(0.02)
        agent.api = other.api
        assert (await agent.chat()).error["code"] == "model_refused"
        assert other.upstream.count == 0


@pytest.mark.parametrize("stream", [False, True])
async def test_the_answer_that_caused_the_overrun_is_still_replayed(
    stream: bool,
) -> None:
    """A caller that repeats the call has lost the answer, most likely because a worker died."""
    sent = streamed() if stream else body()
    async with world(Rule(usage={"prompt_tokens": 10**6, "completion_tokens": 1}, times=1)) as w:
        agent = await w.api.open()
        paid = await agent.chat(sent, key="k")
        again = await agent.chat(sent, key="k")
        assert (again.status, again.content) == (200, paid.content)
        assert (await agent.chat(sent, key="new")).error["code"] == "model_refused"
        account = await agent.account()
        assert (account["charges"], account["reserved"]) == (1, 0)


async def test_a_refused_model_stays_refused_until_its_price_entry_is_corrected() -> None:
    used = {"prompt_tokens": 1000, "completion_tokens": 10}
    corrected = {**PRICES, "m": {**PRICES["m"], "request_tokens": 2000}}
    async with world(Rule(usage=used, times=1)) as w:
        agent = await w.api.open()
        await agent.chat()
        for prices, status in [(PRICES, 400), (corrected, 200)]:
            async with world(database=w.gateway.database, prices=prices) as later:
                agent.api = later.api
                assert (await agent.chat()).status == status


async def test_a_charge_is_rounded_up_once() -> None:
    prices = {"m": {"input_usd_per_million": "0.1", "output_usd_per_million": "0.1"}}
    used = {"prompt_tokens": 1, "completion_tokens": 1}
    async with world(Rule(usage=used), prices=prices) as w:
        agent = await w.api.open()
        for calls in (1, 2, 3):
            await agent.chat()
            assert (await agent.account())["spent"] == Decimal(calls) / 10**6


async def test_a_budget_of_zero_pays_for_no_call() -> None:
    async with world() as w:
        agent = await w.api.open(0)
        assert (await agent.chat()).status == 402


async def test_missing_max_tokens_uses_the_default_of_the_price_entry() -> None:
    """Both the refusal and the acceptance use `default_max_tokens`."""
    sent = body(max_tokens=None)
    need = bound({**sent, "max_tokens": 1024}, 1024)
    async with world() as w:
        agent = await w.api.open(f"{Decimal(need - 1) / 10**6}")
        assert (await agent.chat(sent)).error["required_usd"] == Decimal(need) / 10**6
        await agent.patch(budget=f"{Decimal(need) / 10**6}")
        assert (await agent.chat(sent)).status == 200


@pytest.mark.parametrize(
    "reported",
    [
        {"_meta": {"cascade": {"cost_usd": 0.000123, "model": "x"}}},
        {"cost_usd": 0.000123},
        {"cost": "0.000123"},
        {"usage": {"cost": 0.000123}},
        {"usage": {"cost_usd": 0.000123}},
    ],
)
async def test_a_reported_cost_is_charged_from_every_known_field(reported: Any) -> None:
    """The agent sees only one amount: what its account was charged."""
    usage = {"prompt_tokens": 20, "completion_tokens": 5, **reported.get("usage", {})}
    answer = {
        "choices": [{"message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}],
        **reported,
        "usage": usage,
    }
    async with world(Rule(body=answer)) as w:
        agent = await w.api.open()
        reply = await agent.chat(body("x" * 200))
        (line,) = await agent.ledger()
        assert line["amount"] == Decimal("0.000123")
        assert reply.json["usage"]["cost"] == Decimal("0.000123")
        assert reply.text.count("0.000123") == 1
        assert "cost_usd" not in reply.text
