"""What a report says, for each of its formats: names, values and lines, without markup."""

from durable_agent_team.cli.output import duration_text, elapsed, usd
from durable_agent_team.cli.ui.call_timeline import CallBar
from durable_agent_team.cli.ui.decided_text import decided_text
from durable_agent_team.cli.ui.remedies import FOLLOWS, commands_after, remedy_of
from durable_agent_team.cli.ui.report_tasks import TaskSheet, checks_text, tool_facts
from durable_agent_team.cli.ui.run_tables import (
    after_text,
    failed_heading,
    failure_text,
    left_out,
    task_time,
)
from durable_agent_team.cli.ui.spend_table import AGREEMENT, possibly_billed_text
from durable_agent_team.cli.ui.token_text import tokens_cell
from durable_agent_team.contracts.base import Message
from durable_agent_team.contracts.run import RunReport, TaskOutcome, TaskState
from durable_agent_team.rules.counts import counted, more


class RunFile(Message):
    """What a report contains; a `.json` report as it is."""

    report: RunReport
    timeline: tuple[CallBar, ...]
    tasks: tuple[TaskSheet, ...] = ()
    """In the order of the report's outcomes."""


def head_of(report: RunReport) -> list[tuple[str, str]]:
    """What a reader wants to know first: names and values."""
    total = report.spend.total
    took = elapsed(report.started_at, report.ended_at)
    lines = [
        ("Run", report.workflow_id),
        ("Status", report.status.value),
        ("Started", f"{report.started_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("Took", f"{took} (its calls one after the other: {duration_text(report.call_seconds)})"),
        ("Spent", f"{usd(total.spent_usd)} USD of {usd(total.budget_usd)} USD"),
        ("Ledger", f"{usd(report.spend.ledger_usd)} USD, {AGREEMENT[report.spend.ledger_agrees]}"),
    ]
    if total.possibly_billed_calls:
        given_up = possibly_billed_text(total.possibly_billed_calls, total.possibly_billed_usd)
        lines.append(("Not charged", given_up))
    lines += [("Decided", decided_text(each)) for each in report.decisions]
    if report.cancel_reason is not None:
        lines.append(("Cancelled", report.cancel_reason or "(no reason given)"))
    if text := left_out(report):
        lines.append(("Left out here", text))
    return lines


class Trouble(Message):
    """A failure, what helps, and the commands for it."""

    text: str
    remedy: str
    commands: tuple[str, ...] = ()


MOST_TROUBLES = 50


def troubles_of(report: RunReport) -> list[Trouble]:
    """What failed and why, and what to do about it: causes before what follows from them. Of many,
    the first ones; every task has its own failure, too."""
    found = [
        Trouble(
            text=f"{task.id}: {failure_text(task.failure)}",
            remedy=remedy_of(task.failure, ended=True),
            commands=tuple(commands_after(report, task)),
        )
        for task in sorted((each.task for each in report.outcomes), key=_follows)
        if task.failure is not None
    ]
    left = len(found) - MOST_TROUBLES
    if left > 0:
        found = found[:MOST_TROUBLES]
        found.append(Trouble(text=f"{_others(left)}: see Tasks", remedy=""))
    if report.failure is not None:
        text = f"the run: {failure_text(report.failure)}"
        found.append(Trouble(text=text, remedy=remedy_of(report.failure, ended=True)))
    return found


def troubles_heading(report: RunReport) -> str:
    tasks = [each.task for each in report.outcomes]
    return failed_heading(tasks, report.failure).capitalize()


def _others(count: int) -> str:
    return more(count, "task failed or was blocked", "tasks failed or were blocked")


def _follows(task: TaskState) -> bool:
    return task.failure is not None and task.failure.type in FOLLOWS


def pairs_of(found: RunFile) -> list[tuple[TaskOutcome, TaskSheet]]:
    """Every task with what it was asked."""
    outcomes = found.report.outcomes
    sheets = found.tasks or tuple(TaskSheet(task=each.task.id, ask=None) for each in outcomes)
    return list(zip(outcomes, sheets, strict=True))


MONEY_HEAD = ("agent", "model", "calls", "tokens", "spent USD", "budget USD")


def money_rows(report: RunReport) -> list[tuple[str, ...]]:
    return [
        (
            each.agent,
            each.model,
            str(each.calls),
            tokens_cell(each),
            usd(each.spent_usd),
            usd(each.budget_usd),
        )
        for each in report.spend.agents
    ]


def task_line(report: RunReport, outcome: TaskOutcome) -> str:
    """Agent, state, calls, cost and time of a task."""
    task = outcome.task
    calls = counted(task.calls, "call")
    parts = [task.agent, task.status.value, calls, f"{usd(task.spent_usd)} USD"]
    return " · ".join(filter(None, [*parts, task_time(task, report.ended_at)]))


def task_facts(outcome: TaskOutcome, sheet: TaskSheet) -> list[tuple[str, str]]:
    """Dependencies, documents, checks, and why answers failed them."""
    task = outcome.task
    facts = [("After", after_text(task)), ("Documents", ", ".join(sheet.inputs))]
    facts.append(("Output", checks_text(sheet)))
    for number, reasons in enumerate(sheet.rejections, 1):
        facts.append((f"Answer {number} failed its checks", "; ".join(reasons)))
    facts += tool_facts(sheet)
    if task.failure is not None:
        facts.append(("Failed", failure_text(task.failure)))
    if task.reused_from is not None:
        there = f"{task.reused_from}, {usd(task.reused_usd)} USD there"
        facts.append(("Taken over from", there))
    return [(name, value) for name, value in facts if value]


def handoff_title(outcome: TaskOutcome) -> str:
    return "Hand-off (cut here)" if outcome.output_cut else "Hand-off"
