"""What people outside get to read when their payload is wrong."""

from typing import Any

import pytest

from contracts.control import AdjustBudget, Adjustment, Cancel
from workflows.messages import BadMessage, parse


@pytest.mark.parametrize(
    ("model", "payload", "extra", "words"),
    [
        (Cancel, {}, (1,), "one argument is expected, got 2"),
        (Cancel, [], (), "a JSON object is expected, got []"),
        (Cancel, {"reason": 5}, (), "reason = 5: "),
        (Cancel, {"why": "x"}, (), "why: no such key"),
        (AdjustBudget, None, (), "agent: missing; budget_usd: missing"),
        (AdjustBudget, {"agent": "a", "budget_usd": "1.0000001"}, (), "6 decimal places"),
        (AdjustBudget, {"agent": "a", "budget_usd": "NaN"}, (), "finite"),
        (AdjustBudget, {"agent": "A b", "budget_usd": 1}, (), "agent = 'A b'"),
        (Adjustment, {}, (), "kind: missing"),
        (Adjustment, {"kind": "dance"}, (), "kind = 'dance': one of 'adjust_budget', 'transfer'"),
        (Adjustment, {"kind": "transfer"}, (), "transfer.from_agent: missing"),
        (Cancel, {"reason": "x" * 5000}, (), "at most 1000 characters"),
    ],
)
def test_every_problem_is_named(model: Any, payload: Any, extra: Any, words: str) -> None:
    with pytest.raises(BadMessage) as bad:
        parse(model, payload, extra)
    assert words in str(bad.value)
    assert len(str(bad.value)) < 500


def test_no_payload_is_an_empty_object() -> None:
    assert parse(Cancel, None).reason == ""
