"""A run as plain text: times that do not move, aligned columns, calls as they are counted."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from durable_agent_team.cli.output import aligned_table
from durable_agent_team.cli.ui.report_facts import task_line, troubles_heading
from durable_agent_team.cli.ui.retry_text import retrying_text
from durable_agent_team.cli.ui.run_tables import (
    failed_block,
    refusal_text,
    task_table,
    tool_call_table,
    waiting_text,
)
from durable_agent_team.cli.ui.task_calls import CallLook, TaskLook, task_text
from durable_agent_team.cli.word_wrap import cells
from durable_agent_team.contracts.accounts import Capabilities
from durable_agent_team.contracts.conversation_view import ToolCallStatus
from durable_agent_team.contracts.run import (
    Failure,
    OpenToolCall,
    Refusal,
    Retrying,
    RunReport,
    RunStatus,
    TaskOutcome,
    TaskState,
    TaskStatus,
    Waiting,
)
from durable_agent_team.contracts.spend import LedgerAgreement, SpendReport, Totals
from durable_agent_team.contracts.team import Checks
from durable_agent_team.rules.counts import more

AT = datetime(2026, 1, 31, 23, 55, 5, tzinfo=UTC)


def task(status: TaskStatus, ended_at: datetime | None = None) -> TaskState:
    return TaskState(
        id="a", agent="one", status=status, depends_on=(), calls=1, spent_usd=Decimal(0),
        started_at=AT, ended_at=ended_at, failure=None,
    )  # fmt: skip


def report() -> RunReport:
    zero = Decimal(0)
    total = Totals(
        budget_usd=zero, spent_usd=zero, remaining_usd=zero, reserved_usd=zero, calls=0,
        failed_calls=0, prompt_tokens=0, completion_tokens=0,
    )  # fmt: skip
    spend = SpendReport(
        workflow_id="r", agents=(), total=total, ledger_usd=None,
        ledger_agrees=LedgerAgreement.OPEN, capabilities=Capabilities(),
    )  # fmt: skip
    return RunReport(
        workflow_id="r", team="t", goal="g", status=RunStatus.CANCELLED, answer=None, outcomes=(),
        spend=spend, cancel_reason="no", failure=None, started_at=AT,
        ended_at=AT + timedelta(seconds=90), call_seconds=0,
    )  # fmt: skip


def test_the_time_of_a_task_ends_with_the_task_or_with_its_run() -> None:
    """Runs of earlier versions say no end of a task that was cancelled with its run."""
    cancelled = task(TaskStatus.CANCELLED)
    assert task_table([cancelled]).splitlines()[-1].split() == [
        "a", "one", "cancelled", "1", "0.000000", "-",
    ]  # fmt: skip
    ended = task(TaskStatus.CANCELLED, AT + timedelta(seconds=30))
    assert " 30 s " in task_table([ended])
    assert task_line(report(), TaskOutcome(task=ended, output=None)).endswith(" · 30 s")
    assert task_line(report(), TaskOutcome(task=cancelled, output=None)).endswith(" · 1 m 30 s")


@pytest.mark.parametrize(
    ("next_at", "until", "shown"),
    [
        (AT, None, "next at 23:55:05 UTC: no"),
        (AT, AT + timedelta(minutes=1), "next at 23:55:05 until 23:56:05 UTC: no"),
        (AT, AT + timedelta(hours=1), "next at 23:55:05 until 2026-02-01 00:55:05 UTC: no"),
        (None, AT, "rate limited, until 2026-01-31 23:55:05 UTC: no"),
        (None, None, "rate limited: no"),
    ],
)
def test_times_of_attempts_have_their_zone_and_their_day(
    next_at: datetime | None, until: datetime | None, shown: str
) -> None:
    call = Retrying(
        subject="a", agent="one", attempt=2, of=8, type="RateLimited", next_at=next_at,
        until=until, message="no",
    )  # fmt: skip
    assert retrying_text(call).endswith(shown)


def test_a_refused_message_has_its_day() -> None:
    refused = Refusal(at=AT, message="resum", problem="no such signal")
    assert refusal_text(refused) == "2026-01-31 23:55:05 UTC resum: no such signal"


def test_columns_are_aligned_where_characters_are_wide() -> None:
    table = aligned_table(["run", "USD"], [["注文-7", "0.1"], ["abc", "12.5"]], right=(1,))
    assert {cells(line) for line in table.splitlines()} == {12}


def test_one_is_one_and_several_are_several() -> None:
    assert (more(1, "task", "tasks"), more(2, "task", "tasks")) == ("1 more task", "2 more tasks")
    waiting = Waiting(subject="a", reason="no", command="c", since=AT)
    for calls, who in ((1, "a waits"), (2, "a and 1 more waits"), (3, "a and 2 more wait")):
        text, _ = waiting_text(waiting.model_copy(update={"calls": calls}))
        assert text == f"{who}: no"


def look(key: str, failure: str | None = None, *, objections: tuple[str, ...] = ()) -> CallLook:
    return CallLook(
        idempotency_key=key, agent="one", purpose="work", model="m", max_tokens=9, system="s",
        goal=None, sources=(), missing=(), ask="Say it.", objections=objections, output="text",
        checks=Checks(), answer=None if failure else "ok",
        reasons=("It is short.", "It is wrong.") if objections else (),
        finish_reason="", refusal="", thinking="", failure=failure, cost_usd=Decimal(0),
        replayed=False, estimated=False, prompt_tokens=1, completion_tokens=1, seconds=None,
    )  # fmt: skip


def test_a_call_that_is_made_again_under_its_key_is_one_call() -> None:
    """As `state` and `spend` count it: after an outage, or after its account was raised."""
    calls = (
        look("k1", "RateLimited: wait"),
        look("k1"),
        look("k2", "UpstreamUnavailable: wait", objections=("It is short.",)),
        look("k2", objections=("It is short.",)),
    )
    text = task_text(TaskLook(workflow_id="r", task="a", calls=calls))
    assert text.startswith("a (one): 2 calls, 1 of them a repair, ")
    heads = [line.partition(")")[0] for line in text.splitlines() if line.startswith("call ")]
    assert heads == [
        "call 1 (work",
        "call 1 (work, again",
        "call 2 (repair",
        "call 2 (repair, again",
    ]
    assert text.count("  ask: Say it.") == 2, "once for each request"
    assert "  failed its checks:\n    It is short.\n    It is wrong.\n" in text


def test_what_a_person_cancelled_is_not_shown_as_failed() -> None:
    why = Failure(type="Cancelled", message="not needed")
    left_out = task(TaskStatus.CANCELLED, AT).model_copy(update={"failure": why})
    failed = task(TaskStatus.FAILED, AT).model_copy(update={"failure": why})
    for tasks, heading in (([left_out], "left out"), ([left_out, failed], "failed")):
        assert failed_block(tasks, None)[1] == heading
        outcomes = tuple(TaskOutcome(task=each, output=None) for each in tasks)
        found = report().model_copy(update={"outcomes": outcomes})
        assert troubles_heading(found) == heading.capitalize()
    assert failed_block([left_out], why)[1] == "failed", "the run has"


def test_a_call_that_waits_says_since_when_before_why() -> None:
    call = OpenToolCall(
        subject="a:1.1", agent="one", source="shop:pay", effects="once", tainted=True,
        status=ToolCallStatus.PARKED, started_at=datetime.now(UTC) - timedelta(seconds=90),
    )  # fmt: skip
    [line] = tool_call_table([call])
    assert re.search(r"once, waits for an answer since 1 m 3\d s, after something from", line)
