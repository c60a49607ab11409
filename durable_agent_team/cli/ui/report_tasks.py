"""Pure: what each task of a run was asked, under which checks, and what came of it."""

from typing import Any

from durable_agent_team.cli.ui.plan_text import rules_text
from durable_agent_team.client.run_history import RecordedCall, RunRecord
from durable_agent_team.contracts.base import Message
from durable_agent_team.contracts.call import Purpose
from durable_agent_team.contracts.plan import Plan
from durable_agent_team.contracts.run import RunReport
from durable_agent_team.contracts.team import Checks


class TaskSheet(Message):
    """`ask` is None where neither a call nor the plan has it."""

    task: str
    ask: str | None
    inputs: tuple[str, ...] = ()
    output: str | dict[str, Any] = "text"
    checks: Checks = Checks()
    rejections: tuple[tuple[str, ...], ...] = ()
    """Why each of its answers that failed the checks did so."""


def task_sheets(report: RunReport, record: RunRecord, plan: Plan | None) -> tuple[TaskSheet, ...]:
    """In the plan's order. What was really asked goes before the plan."""
    calls: dict[str, list[RecordedCall]] = {}
    for call in record.calls:
        if call.request.purpose is Purpose.WORK:
            calls.setdefault(call.request.task, []).append(call)
    planned = {task.id: task for task in plan.tasks} if plan is not None else {}
    sheets = []
    for outcome in report.outcomes:
        made, task = calls.get(outcome.task.id, []), planned.get(outcome.task.id)
        asked = made[-1].request if made else task
        sheets.append(
            TaskSheet(
                task=outcome.task.id,
                ask=asked.ask if asked is not None else None,
                inputs=task.inputs if task is not None else (),
                output=asked.output if asked is not None else "text",
                checks=asked.checks if asked is not None else Checks(),
                rejections=tuple(
                    call.result.reasons for call in made if call.result and call.result.reasons
                ),
            )
        )
    return tuple(sheets)


def checks_text(sheet: TaskSheet) -> str:
    """The shape of the output and the rules for it, in words."""
    shape = sheet.output if isinstance(sheet.output, str) else "JSON, by a schema"
    return ", ".join(filter(None, (shape, rules_text(sheet.checks))))
