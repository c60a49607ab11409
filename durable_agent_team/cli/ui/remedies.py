"""What helps after a failure: its type's remedy, and the commands to see it and to continue."""

from decimal import Decimal

from durable_agent_team.contracts.error_types import ERRORS, SAME_ANSWERS, ErrorType
from durable_agent_team.contracts.run import Failure, RunReport, RunStatus, TaskState, Waiting
from durable_agent_team.process.called_program import rerun_command, starter_command

FOLLOWS = (ErrorType.DEPENDENCY_FAILED, ErrorType.DEPENDENCY_SKIPPED, ErrorType.RUN_FAILED)
"""Failures that another one explains."""


ENDED = frozenset(
    {
        RunStatus.COMPLETED,
        RunStatus.CANCELLED,
        RunStatus.FAILED,
        RunStatus.TERMINATED,
        RunStatus.TIMED_OUT,
    }
)
TIMEOUT = "the agent's `timeout_seconds`"
OPEN_RUN = {
    "`retry_task`": "`retry RUN TASK`",
    "`adjust_budget`": "`budget RUN AGENT USD`",
    "`adjust_agent`": "`agent RUN AGENT`",
    TIMEOUT: f"{TIMEOUT} (`agent RUN AGENT --timeout SECONDS`)",
}
ENDED_RUN = {
    "`retry_task`": "`rerun RUN`",
    "`adjust_budget`": "`rerun RUN --adjust`",
    SAME_ANSWERS: "",
    TIMEOUT: f"{TIMEOUT} (`rerun RUN --adjust`)",
}
"""The remedies name updates, as Temporal's clients do; here the commands for them stand instead."""


def remedy_of(failure: Failure, *, ended: bool) -> str:
    """What to do, with the commands of a run that has `ended`, or is open. Empty for an unknown
    type, and where there is nothing to do."""
    return _remedy(failure.type, ended=ended)


def remedy_of_waiting(waiting: Waiting) -> str:
    """What to do before a `retry` of what waits can help. Empty where the command is the whole
    answer, such as a higher budget or an approval."""
    is_retry = " retry " in waiting.command
    return _remedy(waiting.type or "", ended=False) if is_retry else ""


def _remedy(kind: str, *, ended: bool) -> str:
    rule = ERRORS.get(ErrorType(kind)) if kind in set(ErrorType) else None
    if rule is None or rule.remedy.startswith("Nothing"):
        return ""
    text = rule.remedy
    for update, command in (ENDED_RUN if ended else OPEN_RUN).items():
        text = text.replace(update, command)
    return text


def commands_after(report: RunReport, task: TaskState) -> list[str]:
    """For a failed task of a run that has ended: one shows its calls, one continues from it."""
    run, failure = report.workflow_id, task.failure
    if failure is None or failure.type in FOLLOWS:
        return []
    look = [starter_command("task", run, task.id)] if task.calls else []
    return [*look, rerun_command(run, *_changes(report, task.agent, failure))]


def next_commands(report: RunReport) -> list[str]:
    """After a run in which something failed: what shows the calls of the first task that did, and
    what continues from everything that is done."""
    for outcome in report.outcomes:
        if commands := commands_after(report, outcome.task):
            return commands
    is_complete = report.status == RunStatus.COMPLETED
    return [] if is_complete else [rerun_command(report.workflow_id)]


def _changes(report: RunReport, agent: str, failure: Failure) -> list[str]:
    """A limit that would have been high enough, where money was missing."""
    known = next((each for each in report.spend.agents if each.agent == agent), None)
    if failure.type != ErrorType.BUDGET_EXHAUSTED or failure.required_usd is None or known is None:
        return []
    missing = max(failure.required_usd - (failure.remaining_usd or Decimal(0)), Decimal(0))
    return ["--adjust", f"{agent}.budget_usd={known.budget_usd + missing:f}"]
