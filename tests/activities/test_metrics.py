"""Metrics of calls: each charge once, every attempt by how it ended; and the labels they carry."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from temporalio.exceptions import ApplicationError

from activities.calls import metrics
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.telemetry_labels import LABELS, TEAM
from tests.activities.support import agents_at, call, context, serving

ANSWER = {
    "choices": [{"message": {"content": "an answer"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 7, "completion_tokens": 3, "cost": 0.000013},
}
NO_CHOICES = {"usage": ANSWER["usage"]}
REPLAYED = {"X-Idempotent-Replay": "true"}
Reply = tuple[int, dict[str, str], bytes]


class Seen:
    """Every metric's sums, by name and attributes."""

    def __init__(self, reader: InMemoryMetricReader) -> None:
        self._reader = reader

    def points(self, name: str) -> list[Any]:
        data = self._reader.get_metrics_data()
        if data is None:
            return []
        return [
            point
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]

    def total(self, name: str) -> float:
        return sum(getattr(each, "value", getattr(each, "sum", 0)) for each in self.points(name))

    def outcomes(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for point in self.points("agent_team.calls"):
            found[point.attributes["agent_team.outcome"]] += point.value
        return found


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[Seen]:
    """The same instruments, behind a provider of the test's own."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    meter = provider.get_meter("agent_team")
    for name in ("SPEND", "CALLS"):
        made = getattr(metrics, name)
        monkeypatch.setattr(metrics, name, meter.create_counter(made._name))
    parts = meter.create_counter(metrics.TOKEN_PARTS._name)  # type: ignore[attr-defined]
    monkeypatch.setattr(metrics, "TOKEN_PARTS", parts)
    saved = meter.create_up_down_counter(metrics.SAVED._name)  # type: ignore[attr-defined]
    monkeypatch.setattr(metrics, "SAVED", saved)
    running = meter.create_up_down_counter("agent_team.calls_running")
    monkeypatch.setattr(metrics, "RUNNING", running)
    for name in ("TOKENS", "DURATION"):
        made = getattr(metrics, name)
        monkeypatch.setattr(metrics, name, meter.create_histogram(made._name))
    monkeypatch.setattr(metrics, "COUNTED", metrics.CountedKeys())
    yield Seen(reader)
    provider.shutdown()


def reply(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Reply:
    return status, headers or {}, json.dumps(body).encode()


async def attempts(*replies: Reply, **changes: Any) -> None:
    """The same call, once for each reply."""
    coming = iter(replies)
    async with serving(lambda _: next(coming)) as server, agents_at(server.url) as agents:
        for _ in replies:
            try:
                await context().run(agents.call_agent, call(**changes))
            except ApplicationError:
                continue


async def test_an_answer_is_counted_with_its_tokens(seen: Seen) -> None:
    await attempts(reply(ANSWER))
    assert seen.total("agent_team.spend_micro_usd") == 13
    assert seen.total("gen_ai.client.token.usage") == 10
    assert seen.outcomes() == {"ok": 1}
    assert seen.total("agent_team.calls_running") == 0
    [timed] = seen.points("gen_ai.client.operation.duration")
    assert timed.count == 1
    assert "error.type" not in timed.attributes


async def test_kinds_of_tokens_and_what_caching_saved_are_counted_once(seen: Seen) -> None:
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 30,
        "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 20},
        "completion_tokens_details": {"reasoning_tokens": 25},
        "cost": 0.000013,
        "saved_usd": "0.000054",
    }
    answer = {**ANSWER, "usage": usage}
    await attempts(reply(answer), reply(answer, headers=REPLAYED))
    points = seen.points("agent_team.token_parts")
    kinds = {each.attributes["agent_team.token_kind"]: each.value for each in points}
    assert kinds == {"cached": 60, "cache_write": 20, "reasoning": 25}
    assert seen.total("agent_team.saved_micro_usd") == 54
    cost_more = {**usage, "saved_usd": "-0.000014"}
    await attempts(reply({**ANSWER, "usage": cost_more}), idempotency_key="another")
    assert seen.total("agent_team.saved_micro_usd") == 40, "it falls where caching cost more"


async def test_tokens_without_kinds_have_no_parts(seen: Seen) -> None:
    await attempts(reply(ANSWER))
    assert seen.points("agent_team.token_parts") == []
    assert seen.points("agent_team.saved_micro_usd") == []


async def test_a_stored_answer_that_comes_again_was_paid_once(seen: Seen) -> None:
    await attempts(reply(ANSWER), reply(ANSWER, headers=REPLAYED))
    assert seen.total("agent_team.spend_micro_usd") == 13
    assert seen.total("gen_ai.client.token.usage") == 10
    assert seen.outcomes() == {"ok": 2}


async def test_a_charge_that_nobody_saw_is_counted_when_its_answer_comes(seen: Seen) -> None:
    """The first attempt timed out or its worker died: the gateway went on, and stored."""
    await attempts(reply(ANSWER, headers=REPLAYED))
    assert seen.total("agent_team.spend_micro_usd") == 13


async def test_a_provider_that_bills_each_attempt_is_counted_each_time(seen: Seen) -> None:
    await attempts(reply(ANSWER), reply(ANSWER))
    assert seen.total("agent_team.spend_micro_usd") == 26


@pytest.mark.parametrize("first", [{}, REPLAYED])
async def test_a_bill_without_an_answer_is_counted_once(first: dict[str, str], seen: Seen) -> None:
    await attempts(reply(NO_CHOICES, headers=first), reply(NO_CHOICES, headers=REPLAYED))
    assert seen.total("agent_team.spend_micro_usd") == 13
    assert seen.total("gen_ai.client.token.usage") == 10


async def test_a_failed_check_is_an_outcome_and_is_charged(seen: Seen) -> None:
    await attempts(reply(ANSWER), checks={"min_length": 100})
    assert seen.outcomes() == {"check_failed": 1}
    assert seen.total("agent_team.spend_micro_usd") == 13


@pytest.mark.parametrize(
    ("status", "error", "outcome"),
    [
        (429, {}, "rate_limited"),
        (503, {}, "upstream_error"),
        (403, {}, "refused"),
        (402, {"code": "budget_exhausted", "type": "insufficient_funds"}, "exhausted"),
    ],
)
async def test_errors_are_counted_by_what_they_mean(
    status: int, error: dict[str, Any], outcome: str, seen: Seen
) -> None:
    await attempts(reply({"error": {"message": "no", **error}}, status))
    assert seen.outcomes() == {outcome: 1}
    assert seen.total("agent_team.spend_micro_usd") == 0
    [timed] = seen.points("gen_ai.client.operation.duration")
    assert timed.attributes["error.type"] in list(ErrorType)


async def test_a_cancelled_call_is_an_outcome_and_runs_no_more(seen: Seen) -> None:
    async with serving(reply(ANSWER), latency=30) as server, agents_at(server.url) as agents:
        environment = context()
        running = asyncio.create_task(environment.run(agents.call_agent, call()))
        while not server.seen:
            await asyncio.sleep(0.01)
        assert seen.total("agent_team.calls_running") == 1
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert seen.outcomes() == {"cancelled": 1}
    assert seen.total("agent_team.calls_running") == 0


async def test_the_team_is_the_headers_and_the_rest_is_the_calls(seen: Seen) -> None:
    token = LABELS.set({TEAM: "brief"})
    try:
        await attempts(reply(ANSWER))
    finally:
        LABELS.reset(token)
    [point] = seen.points("agent_team.spend_micro_usd")
    asked = call()
    assert point.attributes == {
        TEAM: "brief",
        "gen_ai.agent.name": asked.account.agent,
        "gen_ai.request.model": asked.model,
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "atxp",
    }


def test_what_was_counted_long_ago_is_forgotten() -> None:
    keys = metrics.CountedKeys(size=2)
    assert keys.is_new("a", replayed=False)
    assert not keys.is_new("a", replayed=True)
    assert keys.is_new("b", replayed=True)
    assert keys.is_new("c", replayed=True)
    assert keys.is_new("a", replayed=True)


def test_every_outcome_is_of_an_error_type() -> None:
    assert set(metrics.OUTCOMES) <= set(ErrorType)
