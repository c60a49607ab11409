"""The calls that wait for a model: one tries for all, and none is forgotten."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from durable_agent_team.contracts.team import Retry
from durable_agent_team.rules.retry_pauses import (
    LONGEST_OUTAGE_PAUSE,
    outage_pause,
    planned_attempts,
    policy_pause,
    quick_attempts,
)
from workflows.state.outage import Outage, WaitingCall

START = datetime(2026, 1, 1, tzinfo=UTC)
NEVER = START + timedelta(days=365)
RETRIES = st.builds(
    Retry,
    max_attempts=st.integers(1, 20),
    initial_seconds=st.floats(0.1, 3600),
    backoff=st.floats(1, 10),
    max_seconds=st.floats(1, 3600),
    give_up_after_seconds=st.floats(0, 10_000),
)


def pause(attempts: int) -> timedelta:
    return timedelta(seconds=outage_pause(Retry(), attempts))


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcde"), st.booleans()), max_size=60))
def test_in_an_outage_one_call_tries_at_a_time(steps: Sequence[tuple[str, bool]]) -> None:
    """Calls fail, wait, are admitted, and are answered or fail again, in any order."""
    outage, now, trying = Outage(), START, list[str]()
    for subject, answered in steps:
        if subject not in outage.waiting and subject not in trying:
            outage.failed(subject, now, 1, pause, now)
            outage.wait(subject, WaitingCall(due=now + pause(1), until=NEVER))
        at = outage.next_time()
        assert (at is None) == (outage.trying is not None)
        now = max(now, at) if at else now
        admitted = outage.admit(now)
        assert bool(admitted) == (at is not None), "somebody always goes on"
        trying += admitted
        for each in list(trying):
            trying.remove(each)
            if answered:
                outage.succeeded(each)
            else:
                outage.failed(each, now, 2, pause, now)
                outage.wait(each, WaitingCall(due=now + pause(2), until=NEVER))
    while outage.waiting:
        now = max(now, outage.next_time() or now)
        for each in outage.admit(now):
            outage.succeeded(each)
    assert outage.is_forgotten


def test_calls_that_fail_together_count_once_and_give_up_together() -> None:
    outage, until = Outage(), START + timedelta(minutes=10)
    for subject in "abc":
        outage.failed(subject, START, 6, pause, START)
        outage.wait(subject, WaitingCall(due=START, until=until))
    assert outage.attempts == 6
    assert outage.admit(START) == []
    assert outage.admit(START + pause(6)) == ["a"]
    assert outage.admit(START + pause(6)) == []
    outage.failed("a", until, 7, pause, until)
    assert (outage.attempts, outage.give_up(until)) == (7, ["b", "c"])


def test_nobody_tries_before_the_server_allows_it() -> None:
    outage, told = Outage(), START + timedelta(hours=2)
    outage.failed("a", START, 1, pause, told)
    outage.wait("a", WaitingCall(due=told, until=NEVER))
    assert outage.next_time() == told


@settings(deadline=None)
@given(RETRIES)
def test_pauses_grow_and_are_bounded(retry: Retry) -> None:
    pauses = [outage_pause(retry, attempts) for attempts in range(1, 60)]
    assert all(before <= after for before, after in pairwise(pauses))
    longest = max(LONGEST_OUTAGE_PAUSE, retry.max_seconds, retry.initial_seconds)
    assert max(pauses) <= longest
    assert pauses[-1] >= LONGEST_OUTAGE_PAUSE
    assert 1 <= quick_attempts(retry) <= retry.max_attempts
    at_once = sum(policy_pause(retry, each) for each in range(1, quick_attempts(retry)))
    assert at_once <= 10
    planned = planned_attempts(retry)
    assert planned >= retry.max_attempts
    assert sum(pauses[: planned - 1]) >= min(retry.give_up_after_seconds, sum(pauses))


def test_the_default_lasts_an_hour_of_few_attempts() -> None:
    retry = Retry()
    assert (quick_attempts(retry), planned_attempts(retry)) == (6, 25)
    assert sum(outage_pause(retry, each) for each in range(1, 25)) >= 3600
