"""The error messages for wrong payloads."""

from typing import Any

import pytest

from durable_agent_team.contracts.changes import AdjustAgent, AdjustRun
from durable_agent_team.contracts.control import AdjustBudget, Adjustment, Cancel
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
        (AdjustAgent, {"agent": "a"}, (), "nothing to change: give one or more of model, max_att"),
        (AdjustAgent, {"agent": "a", "model": None}, (), "model = null: leave the key out"),
        (AdjustAgent, {"agent": "a", "max_attempts": 21}, (), "max_attempts = 21: "),
        (AdjustRun, None, (), "give one or more of max_parallel, deadline, budget_usd"),
        (AdjustRun, {"budget_usd": None}, (), "budget_usd = null: leave the key out"),
        (AdjustRun, {"max_parallel": 501}, (), "max_parallel = 501: "),
        (AdjustRun, {"deadline": "2026-12-31T18:00"}, (), "its offset from UTC is missing (write"),
        (
            AdjustRun,
            {"deadline": "tomorrow"},
            (),
            "this is not an ISO-8601 time (write it like 2026",
        ),
        (AdjustRun, {"deadline": 1798740000}, (), "deadline = 1798740000: this is not an ISO-8601"),
        (Adjustment, {"kind": "adjust_run"}, (), "nothing to change: "),
        (Cancel, {"reason": "x" * 5000}, (), "at most 1000 characters"),
    ],
)
def test_every_problem_is_named(model: Any, payload: Any, extra: Any, words: str) -> None:
    with pytest.raises(BadMessage) as bad:
        parse(model, payload, extra)
    assert words in str(bad.value)
    assert len(str(bad.value)) < 500


def test_a_null_deadline_differs_from_a_missing_one() -> None:
    assert "deadline" in parse(AdjustRun, {"deadline": None}).model_fields_set
    assert "deadline" not in parse(AdjustRun, {"max_parallel": 1}).model_fields_set


def test_a_missing_payload_is_an_empty_object() -> None:
    assert parse(Cancel, None).reason == ""


@pytest.mark.parametrize("amount", ["1_0", "٣", "1e999999", "1e-999999", "9" * 61, "0x1", "inf"])
def test_an_amount_has_plain_digits(amount: str) -> None:
    with pytest.raises(BadMessage, match="budget_usd = "):
        parse(AdjustBudget, {"agent": "a", "budget_usd": amount})
