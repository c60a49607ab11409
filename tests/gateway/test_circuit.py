"""A dead upstream is left alone: it gets few requests, however many calls there are."""

import asyncio
import math
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durable_agent_team.gateway.upstreams import circuit as circuit_module
from durable_agent_team.gateway.upstreams.circuit import (
    FULL_CONCURRENCY,
    LONGEST_PAUSE,
    Circuit,
    State,
)
from durable_agent_team.gateway.upstreams.guarded_upstream import GuardedUpstream
from tests.gateway.client import body, world
from tests.support.upstream import Rule

FAILURES = 3
Step = tuple[str, float]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["admit", "succeeded", "failed", "ended", "retry_after"]),
        st.floats(0, 40, allow_nan=False),
    ),
    max_size=60,
)


@settings(deadline=None)
@given(STEPS)
def test_it_admits_what_its_state_allows(steps: Sequence[Step]) -> None:
    circuit, now, in_row = Circuit(FAILURES), 0.0, 0
    for step, seconds in steps:
        now += seconds
        before, left = circuit.state, circuit.seconds_left(now)
        if step == "admit":
            refused = circuit.admit(now)
            assert (refused is None) or refused > 0
            if before is State.CLOSED:
                assert refused is None
            if left > 0:
                assert refused == left, "while it is open, it refuses, and says for how long"
        elif step == "retry_after":
            circuit.failed(now, retry_after=seconds)
            assert circuit.seconds_left(now) >= seconds - 1e-6
        else:
            getattr(circuit, step)(*([now] if step == "failed" else []))
        in_row = 0 if step == "succeeded" and before is not State.OPEN else in_row
        in_row += step in ("failed", "retry_after")
        if in_row >= FAILURES and step == "failed":
            assert circuit.state is State.OPEN


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 10), st.integers(1, 200))
def test_the_requests_to_a_dead_upstream_are_bounded(failures: int, callers: int) -> None:
    """An hour in which every caller asks once a second."""
    circuit, sent = Circuit(failures), 0
    for second in range(3600):
        for _ in range(min(callers, 5) if second else callers):
            if circuit.admit(float(second)) is None:
                sent += 1
                circuit.failed(float(second))
    assert sent <= failures + 5 + 3600 / LONGEST_PAUSE


@given(st.integers(1, 300))
def test_after_an_outage_the_calls_in_flight_grow_step_by_step(callers: int) -> None:
    circuit = Circuit(1)
    circuit.failed(0.0)
    most = 1
    while circuit.state is not State.CLOSED:
        admitted = sum(circuit.admit(100.0) is None for _ in range(callers))
        assert 1 <= admitted <= most
        for _ in range(admitted):
            circuit.succeeded()
        most = min(most * 2**admitted, 2 * FULL_CONCURRENCY)
    assert sum(circuit.admit(100.0) is None for _ in range(callers)) == callers


def test_an_upstream_that_fails_now_and_then_is_not_taken_for_a_dead_one() -> None:
    """One request in five fails, for a minute, and twelve callers wait as long as they are told."""
    random, circuit, answered = Random(1), Circuit(5), 0
    events = [(random.random(), caller, False) for caller in range(12)]
    while (event := min(events))[0] < 60:
        events.remove(event)
        now, caller, was_sent = event
        if not was_sent:
            wait = circuit.admit(now)
            took = random.uniform(0.02, 0.5) if wait is None else math.ceil(wait)
            events.append((now + took, caller, wait is None))
            assert circuit.seconds_left(now) < LONGEST_PAUSE / 2
        elif random.random() < 0.2:
            circuit.failed(now, 1.0 if random.random() < 0.4 else None)
            events.append((now + 1, caller, False))
        else:
            circuit.succeeded()
            answered += 1
            events.append((now, caller, False))
    assert answered > 200, "it was 80 where every failure of a half-open circuit opened it, longer"


def test_while_it_recovers_a_failure_halves_its_calls_and_failures_in_a_row_open_it() -> None:
    circuit = Circuit(3)
    for _ in range(3):
        circuit.failed(0.0)
    for _ in range(3):
        assert circuit.admit(10.0) is None
        circuit.succeeded()
    circuit.admit(10.0)
    circuit.failed(10.0)
    assert circuit.state is State.HALF_OPEN
    assert sum(circuit.admit(10.0) is None for _ in range(20)) == 4
    circuit.failed(10.0)
    circuit.failed(10.0)
    assert circuit.seconds_left(10.0) > 0


async def test_a_hundred_calls_send_a_dead_upstream_few_requests(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(circuit_module, "FIRST_PAUSE", 20.0)  # longer than the test
    async with world(Rule(status=503)) as w:
        agent = await w.api.open()
        replies = [await agent.chat() for _ in range(FAILURES + 2)]
        replies += await asyncio.gather(*(agent.chat() for _ in range(95)))
        assert w.upstream.count <= 5 + 1
        refused = [each for each in replies if each.error["code"] == "upstream_circuit_open"]
        assert len(refused) >= 94
        for each in refused:
            assert each.status == 503
            assert int(each.headers["retry-after"]) >= 1
            assert "not called for m for another" in each.error["message"]
        health = await w.api.send("GET", "/healthz", key="")
        assert (health.status, health.json["open_circuits"].keys()) == (200, {"m"})
        account = await agent.account()
        assert (account["spent"], account["reserved"], account["interrupted"]) == (0, 0, {})


async def test_a_rate_limit_is_waited_for_and_then_one_call_tries() -> None:
    rule = Rule(status=429, headers={"Retry-After": "1"}, times=1)
    async with world(rule) as w:
        agent = await w.api.open()
        assert (await agent.chat(key="k")).status == 429
        refused = await agent.chat(key="k")
        assert (refused.status, refused.error["code"]) == (429, "upstream_circuit_open")
        assert w.upstream.count == 1
        await asyncio.sleep(1.1)
        assert (await agent.chat(key="k")).status == 200
        assert (await w.api.send("GET", "/healthz", key="")).json["open_circuits"] == {}


async def test_another_model_and_a_stored_answer_are_not_refused() -> None:
    limited = Rule(
        match=lambda each: each.body["messages"][0]["content"] == "no",
        status=429,
        headers={"Retry-After": "60"},
    )
    async with world(limited) as w:
        agent = await w.api.open()
        assert (await agent.chat(key="paid")).status == 200
        await agent.chat(body("no"))
        assert (await agent.chat()).status == 429
        assert (await agent.chat(key="paid")).status == 200
        assert (await agent.chat(body(model="smollm2-135m"))).status == 200


async def test_a_call_that_is_cancelled_frees_its_place() -> None:
    class Hanging:
        async def complete(self, *_: Any) -> Any:
            await asyncio.Event().wait()

    guarded = GuardedUpstream(Hanging(), 1)  # type: ignore[arg-type]
    circuit = guarded._circuit("m")
    circuit.failed(guarded._clock() - 100)
    request: Any = type("Request", (), {"model": "m"})()
    calling = asyncio.create_task(guarded.complete(request, "k", None))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    assert circuit.admit(guarded._clock()) is not None
    calling.cancel()
    await asyncio.gather(calling, return_exceptions=True)
    assert circuit.admit(guarded._clock()) is None
