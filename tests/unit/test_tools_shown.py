"""What a person reads about calls of tools: nothing in it is forged, and the money is there."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_agent_team.cli.ui.approval_text import approval_lines, kind_of
from durable_agent_team.cli.ui.decided_text import decided_text
from durable_agent_team.cli.ui.spend_table import spend_table
from durable_agent_team.cli.ui.turn_text import STATUSES, tool_call_lines
from durable_agent_team.contracts.accounts import Capabilities
from durable_agent_team.contracts.approvals import ApprovalKind, Decided, PendingApproval
from durable_agent_team.contracts.conversation_view import ToolCallStatus, ToolCallView
from durable_agent_team.contracts.spend import (
    AgentSpend,
    AgentStatus,
    LedgerAgreement,
    SpendReport,
    Totals,
)
from durable_agent_team.rules.safe_text import is_hidden

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@given(st.text(max_size=200), st.sampled_from(ApprovalKind), st.text(max_size=50))
def test_an_approval_has_no_hidden_character_and_no_line_of_somebody_else(
    content: str, kind: ApprovalKind, what: str
) -> None:
    pending = PendingApproval(
        subject="settle:2.1", kind=kind, agent="clerk", what=what, content=content,
        sha256="0" * 64, since=NOW,
    )  # fmt: skip
    head, *rest = "\n".join(approval_lines("run", pending)).split("\n")
    assert head.startswith("settle:2.1: clerk ")
    assert all(line.startswith("  ") for line in rest)
    assert not any(is_hidden(char) and char != "\t" for line in [head, *rest] for char in line)


@given(st.text(max_size=200), st.text(max_size=200), st.text(max_size=80), st.text(max_size=80))
def test_a_call_of_a_tool_is_one_line_and_what_is_below_it(
    arguments: str, result: str, note: str, source: str
) -> None:
    call = ToolCallView(
        number="2.1", name="refund", source=source, arguments=arguments, result=result,
        note=note, approval="rejected", reason=note, status=ToolCallStatus.REJECTED,
    )  # fmt: skip
    head, *rest = "\n".join(tool_call_lines(call)).split("\n")
    assert head.startswith("  tool 2.1 ")
    assert all(line.startswith("    ") for line in rest)
    assert not any(is_hidden(char) and char != "\t" for line in [head, *rest] for char in line)


@given(st.text(max_size=80), st.text(max_size=80), st.text(max_size=200))
def test_a_decision_is_one_line_whatever_its_sender_says_of_himself(
    subject: str, by: str, note: str
) -> None:
    decided = Decided(subject=subject, decision="rejected", by=by, at=NOW, note=note)
    line = decided_text(decided)
    assert "\n" not in line
    assert "rejected" in line
    assert not any(is_hidden(char) for char in line)


def test_a_call_says_who_decided_about_it_and_when() -> None:
    call = ToolCallView(
        number="2.1", name="refund", approval="approved", status=ToolCallStatus.DONE,
        decided_by="ann@desk", decided_at=NOW,
    )  # fmt: skip
    assert "    decided   by ann@desk at 2026-01-01 00:00 UTC" in list(tool_call_lines(call))


@pytest.mark.parametrize(
    ("reason", "result", "shown"),
    [("refund was\nnot called: …", "refund was\nnot called: usd", 0), ("no such tool", "", 1)],
)
def test_a_reason_that_the_result_begins_with_is_not_said_twice(
    reason: str, result: str, shown: int
) -> None:
    call = ToolCallView(
        number="1.1", name="refund", reason=reason, result=result, status=ToolCallStatus.NOT_RUN
    )
    assert sum(line.startswith("    reason") for line in tool_call_lines(call)) == shown


def test_every_status_has_its_words() -> None:
    assert set(STATUSES) == set(ToolCallStatus)


def test_a_subject_says_what_kind_it_is() -> None:
    kinds = {
        "plan": ApprovalKind.PLAN,
        "settle": ApprovalKind.TASK,
        "settle:handoff": ApprovalKind.HANDOFF,
        "settle:call": ApprovalKind.CALL,
        "settle:12.3": ApprovalKind.TOOL,
    }
    assert {subject: kind_of(subject) for subject in kinds} == kinds


def test_spend_shows_tools_beside_calls_where_there_are_some() -> None:
    without, paid = spend(Decimal(0)), spend(Decimal("0.5"))
    assert "tools" not in spend_table(without)
    head, _, agent, total, *notes = spend_table(paid).splitlines()
    assert head.split()[-6:] == ["tools", "USD", "spent", "USD", "budget", "left"]
    assert agent.split()[-4] == total.split()[-4] == "0.500000"
    assert "of the total: tools 0.500000 USD" in notes


def spend(tools: Decimal) -> SpendReport:
    agent = AgentSpend(
        agent="clerk", model="m", status=AgentStatus.IDLE, budget_usd=Decimal(1),
        spent_usd=tools, remaining_usd=1 - tools, reserved_usd=Decimal(0), useful_usd=tools,
        repairs_usd=Decimal(0), failed_attempts_usd=Decimal(0), discarded_usd=Decimal(0),
        calls=1, failed_calls=0, prompt_tokens=1, completion_tokens=1, estimated_charges=0,
        tools_usd=tools,
    )  # fmt: skip
    return SpendReport(
        workflow_id="run", agents=(agent,), total=Totals.of([agent]), ledger_usd=None,
        ledger_agrees=LedgerAgreement.OPEN, capabilities=Capabilities(),
    )  # fmt: skip
