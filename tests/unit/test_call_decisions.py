"""What becomes of a call that was refused: one decision for each case."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from durable_agent_team.contracts.call import AccountRef, CallRequest
from durable_agent_team.contracts.error_types import ERRORS, ErrorType, Outcome
from durable_agent_team.contracts.model_catalog import ModelPrice
from durable_agent_team.contracts.run import Failure
from durable_agent_team.contracts.team import Agent, OnExhausted, OnFailure
from durable_agent_team.contracts.team import Retry as Settings
from workflows.state.call_trouble import CallTrouble
from workflows.tasks.call_decisions import (
    NEVER_SENT,
    CallState,
    Decision,
    Fail,
    FailedCall,
    Fallback,
    Park,
    Retry,
    Skip,
    Smaller,
    WaitForSettlement,
    decide,
    may_be_attempted_again,
    record_of,
)

REQUEST = CallRequest(
    idempotency_key="k",
    account=AccountRef(agent="a", account_id="1", sealed_key="s"),
    task="facts",
    model="large",
    max_tokens=1_000,
    system="You are: Researcher.",
    ask="List.",
)
PRICE = ModelPrice(model="large", input_usd=Decimal(1), output_usd=Decimal(1))


def refused(kind: ErrorType, missing_usd: str = "0.0005") -> Failure:
    required, remaining = Decimal("0.001"), Decimal("0.001") - Decimal(missing_usd)
    return Failure(type=kind, message="no", required_usd=required, remaining_usd=remaining)


EXHAUSTED = refused(ErrorType.BUDGET_EXHAUSTED)
RESERVED = refused(ErrorType.BUDGET_RESERVED)
FALLBACK = {"on_exhausted": OnExhausted.FALLBACK, "fallback_model": "small"}


@pytest.mark.parametrize(
    ("failure", "settings", "state", "decision"),
    [
        (None, {}, {}, Retry()),
        (refused(ErrorType.CHECK_FAILED), {}, {}, Fail()),
        (refused(ErrorType.UPSTREAM_TIMEOUT), {}, {}, Park()),
        (refused(ErrorType.RATE_LIMITED), {"on_failure": "fail"}, {}, Fail()),
        (refused(ErrorType.FORBIDDEN), {}, {}, Park()),
        (refused(ErrorType.FORBIDDEN), {"on_failure": "fail"}, {}, Fail()),
        (refused(ErrorType.FORBIDDEN), {}, {"body_changed": True}, Retry()),
        (refused(ErrorType.FORBIDDEN), {}, {"on_failure_decides": False}, Fail()),
        (EXHAUSTED, {"on_exhausted": OnExhausted.FAIL}, {"body_changed": True}, Retry()),
        (RESERVED, {}, {"body_changed": True}, Retry()),
        (RESERVED, {"on_exhausted": OnExhausted.FAIL}, {}, WaitForSettlement()),
        (RESERVED, {"on_exhausted": OnExhausted.FAIL}, {"waits_left": 0}, Fail(exhausted=True)),
        (RESERVED, {"min_tokens": 400}, {"waits_left": 0}, Smaller(500)),
        (refused(ErrorType.BREAKER_OPEN), {"on_exhausted": OnExhausted.FAIL}, {}, Park()),
        (refused(ErrorType.SEALING_KEY_MISMATCH), {"min_tokens": 1}, {}, Park()),
        (refused(ErrorType.SEALING_KEY_MISMATCH), {"on_failure": "fail"}, {}, Fail()),
        (
            refused(ErrorType.TEXT_UNAVAILABLE),
            {"on_failure": "fail"},
            {"unsent_may_fail": False},
            Park(),
        ),
        (refused(ErrorType.UPSTREAM_OUT_OF_FUNDS), {"on_failure": "fail"}, {}, Park()),
        (refused(ErrorType.GATEWAY_LIMIT), {"on_failure": "fail"}, {}, Park()),
        (EXHAUSTED, {"min_tokens": 500}, {}, Smaller(500)),
        (EXHAUSTED, {"min_tokens": 501}, {}, Park(exhausted=True)),
        (EXHAUSTED, {"min_tokens": 1}, {"price": None}, Park(exhausted=True)),
        (refused(ErrorType.BUDGET_EXHAUSTED, "0.001"), {"min_tokens": 1}, {}, Park(exhausted=True)),
        (EXHAUSTED, {}, {}, Park(exhausted=True)),
        (EXHAUSTED, {"on_exhausted": OnExhausted.FAIL}, {}, Fail(exhausted=True)),
        (EXHAUSTED, {"on_exhausted": OnExhausted.SKIP}, {}, Skip()),
        (EXHAUSTED, FALLBACK, {}, Fallback("small")),
        (EXHAUSTED, {**FALLBACK, "min_tokens": 500}, {}, Smaller(500)),
        (EXHAUSTED, {**FALLBACK, "fallback_model": "large"}, {}, Park(exhausted=True)),
        (refused(ErrorType.ACCOUNT_DISABLED), {"on_exhausted": OnExhausted.SKIP}, {}, Skip()),
    ],
)
def test_each_case_has_its_decision(
    failure: Failure | None, settings: dict[str, Any], state: dict[str, Any], decision: Decision
) -> None:
    caller = Agent.model_validate({"role": "Researcher", **settings})
    seen = CallState(**{"price": PRICE, "waits_left": 60, **state})
    assert decide(failure, caller, REQUEST, seen) == decision


@pytest.mark.parametrize("kind", ErrorType)
def test_what_is_not_the_agents_own_fault_fails_only_where_the_team_says_so(
    kind: ErrorType,
) -> None:
    outcome = ERRORS[kind].outcome
    own_fault = outcome in (Outcome.FAILS_TASK, Outcome.FAILS_RUN, Outcome.REPAIRED)
    decision = decide(refused(kind), Agent(role="Researcher"), REQUEST, CallState(PRICE, 60))
    assert (decision == Fail()) == own_fault
    fails = own_fault or outcome in (Outcome.OUTLASTED, Outcome.RETRIED, Outcome.ON_FAILURE)
    fails = fails or kind in NEVER_SENT
    failing = Agent(role="Researcher", on_failure=OnFailure.FAIL)
    assert (decide(refused(kind), failing, REQUEST, CallState(PRICE, 60)) == Fail()) == fails


START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "attempts", "counted", "seconds", "final", "again"),
    [
        (ErrorType.RATE_LIMITED, 1, 0, 0, False, True),
        (ErrorType.RATE_LIMITED, 30, 0, 3599, True, True),
        (ErrorType.RATE_LIMITED, 30, 0, 3600, False, False),
        (ErrorType.RATE_LIMITED, 3, 0, 3600, False, True),
        (ErrorType.UPSTREAM_UNAVAILABLE, 30, 8, 10, False, False),
        (ErrorType.UPSTREAM_TIMEOUT, 7, 7, 9999, False, True),
        (ErrorType.UPSTREAM_TIMEOUT, 8, 8, 10, False, False),
        (ErrorType.MALFORMED_ANSWER, 1, 1, 0, True, False),
        (ErrorType.FORBIDDEN, 1, 0, 0, False, False),
    ],
)
def test_an_outage_is_bounded_by_time_and_everything_else_by_attempts(
    kind: ErrorType, attempts: int, counted: int, seconds: float, final: bool, again: bool
) -> None:
    until = START + timedelta(hours=1)
    trouble = CallTrouble("a", "m", "k", START, until, 25, attempts=attempts, counted=counted)
    now = START + timedelta(seconds=seconds)
    assert may_be_attempted_again(refused(kind), Settings(), trouble, now, final=final) == again


@pytest.mark.parametrize(
    ("kind", "attempts", "record"),
    [
        (ErrorType.BUDGET_EXHAUSTED, 1, FailedCall(withdrawn=True, may_be_billed=False)),
        (ErrorType.BUDGET_EXHAUSTED, 2, FailedCall(withdrawn=True, may_be_billed=False)),
        (ErrorType.ACCOUNT_DISABLED, 1, FailedCall(withdrawn=True, may_be_billed=False)),
        (ErrorType.ACCOUNT_DISABLED, 2, FailedCall(withdrawn=True, may_be_billed=True)),
        (ErrorType.SEALING_KEY_MISMATCH, 1, FailedCall(withdrawn=True, may_be_billed=True)),
        (ErrorType.GATEWAY_LIMIT, 1, FailedCall(withdrawn=False, may_be_billed=True)),
        (ErrorType.FORBIDDEN, 1, FailedCall(withdrawn=False, may_be_billed=False)),
        (ErrorType.FORBIDDEN, 2, FailedCall(withdrawn=False, may_be_billed=True)),
        (ErrorType.UPSTREAM_TIMEOUT, 1, FailedCall(withdrawn=False, may_be_billed=True)),
    ],
)
def test_a_failed_call_is_recorded_by_what_it_may_have_cost(
    kind: ErrorType, attempts: int, record: FailedCall
) -> None:
    assert record_of(refused(kind), attempts) == record
