"""A call that was in flight when its run continued as new is one call, in what `charges` reads."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from durable_agent_team.client.run_history import RecordedCall, _taken_up
from durable_agent_team.contracts.call import CallResult
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
    calls = _taken_up([[before, recorded("k", 5, first)], [again]], [SEAM, SEAM])
    assert [call.key[1] for call in calls] == ["before", "k"]
    assert calls[1].result == again.result
    assert calls[1].scheduled_at == START + timedelta(seconds=5)
    assert sum(call.cost_usd or 0 for call in calls) == Decimal("0.02")
