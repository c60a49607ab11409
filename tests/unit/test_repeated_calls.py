"""Calls that a history has more than once, under one key, in what `charges` reads: each costs what
the run has counted for it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from durable_agent_team.client.recorded_calls import (
    RecordedCall,
    across_executions,
    charged_once,
    with_known_spend,
)
from durable_agent_team.contracts.call import CallResult
from durable_agent_team.contracts.program import ProgramCall
from durable_agent_team.contracts.program_kinds import PythonRun
from tests.unit.test_call_decisions import REQUEST

START = datetime(2026, 11, 29, tzinfo=UTC)
SEAM = START + timedelta(seconds=10)
RESULT = CallResult(answer="x", cost_usd=Decimal("0.01"), started_at=START, seconds=1)


def recorded(key: str, at: float, result: CallResult | None) -> RecordedCall:
    began = START + timedelta(seconds=at)
    return RecordedCall(
        request=REQUEST.model_copy(update={"idempotency_key": key}),
        result=result,
        failure=None,
        failed_usd=Decimal(0),
        scheduled_at=began,
        ended_at=began + timedelta(seconds=1) if result else None,
    )


@pytest.mark.parametrize("first", [None, RESULT])
def test_a_call_that_the_next_execution_makes_again_is_counted_once(
    first: CallResult | None,
) -> None:
    """Also where its result came in the moment in which the run continued as new: it is in the
    history, and the run has not seen it."""
    again = recorded("k", 11, RESULT.model_copy(update={"replayed": True}))
    before = recorded("before", 2, RESULT)
    calls = across_executions([[before, recorded("k", 5, first)], [again]], [SEAM, SEAM])
    assert [call.key[1] for call in calls] == ["before", "k"]
    assert calls[1].result == again.result
    assert calls[1].scheduled_at == START + timedelta(seconds=5)
    assert sum(call.cost_usd or 0 for call in calls) == Decimal("0.02")


def failed(key: str, at: float, usd: str, program: ProgramCall | None = None) -> RecordedCall:
    call = recorded(key, at, None)
    ended = call.scheduled_at + timedelta(seconds=1)
    cost = Decimal(usd)
    return replace(call, failure="failed", failed_usd=cost, ended_at=ended, program=program)


def cents(calls: list[RecordedCall]) -> list[int]:
    return [int(100 * (call.cost_usd or 0)) for call in calls]


def test_a_charge_that_a_failed_activity_has_reported_is_its_stored_answers() -> None:
    """It failed because of the answer; made again under its key, the call gets that answer."""
    stored = RESULT.model_copy(update={"replayed": True})
    calls = [failed("k", 1, "0.01"), failed("other", 1, "0.01"), recorded("k", 3, stored)]
    assert cents(charged_once(calls)) == [0, 1, 1]
    fresh = [failed("k", 1, "0.01"), recorded("k", 3, RESULT)]
    assert cents(charged_once(fresh)) == [1, 1]


def test_a_program_that_ended_without_a_word_has_cost_what_its_run_knew() -> None:
    calls = [failed("scope", at, "0", program(known)) for at, known in ((1, "0"), (3, "0.03"))]
    calls.append(failed("scope", 5, "0.02", program("0.03")))
    calls.append(replace(recorded("scope", 9, RESULT), program=program("0.05")))
    calls.append(failed("other", 9, "0", program("0.07")))
    assert cents(with_known_spend(calls)) == [3, 0, 2, 1, 0]


def program(known_usd: str) -> ProgramCall:
    return ProgramCall(
        call=REQUEST,
        run=PythonRun(python="of.ours:answer"),
        scope="scope",
        execution=1,
        role="Counter",
        known_spent_usd=Decimal(known_usd),
    )
