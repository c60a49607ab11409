"""What becomes of a call that was refused: one decision for each case."""

from decimal import Decimal
from typing import Any

import pytest

from durable_agent_team.contracts.call import AccountRef, CallRequest
from durable_agent_team.contracts.error_types import ERRORS, ErrorType, Outcome
from durable_agent_team.contracts.run import Failure
from durable_agent_team.contracts.spend import ModelPrice
from durable_agent_team.contracts.team import Agent, OnExhausted
from workflows.tasks.call_decisions import (
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
        (refused(ErrorType.UPSTREAM_TIMEOUT), {}, {}, Fail()),
        (refused(ErrorType.FORBIDDEN), {}, {"body_changed": True}, Fail()),
        (EXHAUSTED, {"on_exhausted": OnExhausted.FAIL}, {"body_changed": True}, Retry()),
        (RESERVED, {}, {"body_changed": True}, Retry()),
        (RESERVED, {"on_exhausted": OnExhausted.FAIL}, {}, WaitForSettlement()),
        (RESERVED, {"on_exhausted": OnExhausted.FAIL}, {"waits_left": 0}, Fail(exhausted=True)),
        (RESERVED, {"min_tokens": 400}, {"waits_left": 0}, Smaller(500)),
        (refused(ErrorType.BREAKER_OPEN), {"on_exhausted": OnExhausted.FAIL}, {}, Park()),
        (refused(ErrorType.SEALING_KEY_MISMATCH), {"min_tokens": 1}, {}, Park()),
        (refused(ErrorType.GATEWAY_LIMIT), {"min_tokens": 1}, {}, Park()),
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
def test_only_a_call_that_was_refused_before_it_started_is_made_again(kind: ErrorType) -> None:
    decision = decide(refused(kind), Agent(role="Researcher"), REQUEST, CallState(PRICE, 60))
    again = ERRORS[kind].outcome in (Outcome.WAITS, Outcome.ON_EXHAUSTED, Outcome.PARKS)
    assert (decision != Fail()) == again


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
