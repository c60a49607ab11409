"""What helps after a failure: the remedy for its type, and the commands to see it and to go on."""

from decimal import Decimal

from durable_agent_team.contracts.error_types import ERRORS, ErrorType
from durable_agent_team.contracts.run import Failure, RunReport, TaskState
from durable_agent_team.process.called_program import starter_command

FOLLOWS = (ErrorType.DEPENDENCY_FAILED, ErrorType.DEPENDENCY_SKIPPED, ErrorType.RUN_FAILED)
"""Failures that another one explains."""


def remedy_of(failure: Failure) -> str:
    """Empty for an unknown type, and where there is nothing to do."""
    rule = ERRORS.get(ErrorType(failure.type)) if failure.type in set(ErrorType) else None
    return "" if rule is None or rule.remedy.startswith("Nothing") else rule.remedy


def commands_after(report: RunReport, task: TaskState) -> list[str]:
    """For a failed task of a run that has ended: one shows its calls, one goes on from it."""
    run, failure = report.workflow_id, task.failure
    if failure is None or failure.type in FOLLOWS:
        return []
    look = [starter_command("task", run, task.id)] if task.calls else []
    return [*look, starter_command("rerun", run, options=_changes(report, task.agent, failure))]


def _changes(report: RunReport, agent: str, failure: Failure) -> list[str]:
    """A limit that would have been high enough, where money was missing."""
    known = next((each for each in report.spend.agents if each.agent == agent), None)
    if failure.type != ErrorType.BUDGET_EXHAUSTED or failure.required_usd is None or known is None:
        return []
    missing = max(failure.required_usd - (failure.remaining_usd or Decimal(0)), Decimal(0))
    return ["--adjust", f"{agent}.budget_usd={known.budget_usd + missing:f}"]
