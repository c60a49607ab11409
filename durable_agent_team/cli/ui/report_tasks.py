"""Pure: what each task of a run was asked, under which checks, and what came of it."""

from collections.abc import Sequence
from typing import Any

from durable_agent_team.cli.output import usd
from durable_agent_team.cli.ui.decided_text import who_and_when
from durable_agent_team.cli.ui.plan_text import rules_text
from durable_agent_team.cli.ui.turn_text import STATUSES
from durable_agent_team.client.recorded_calls import RecordedCall
from durable_agent_team.client.run_history import RunRecord
from durable_agent_team.client.tool_views import is_turn, tool_calls_of
from durable_agent_team.contracts.base import Message
from durable_agent_team.contracts.call import Purpose
from durable_agent_team.contracts.conversation_view import ToolCallView
from durable_agent_team.contracts.plan import Plan
from durable_agent_team.contracts.run import RunReport
from durable_agent_team.contracts.team import Checks
from durable_agent_team.rules.counts import more

MOST_TOOLS = 50
"""Calls of tools that are listed for one task."""


class TaskSheet(Message):
    """`ask` is None where neither a call nor the plan has it."""

    task: str
    ask: str | None
    inputs: tuple[str, ...] = ()
    output: str | dict[str, Any] = "text"
    checks: Checks = Checks()
    rejections: tuple[tuple[str, ...], ...] = ()
    """Why each of its answers that failed the checks did so."""
    tool_calls: tuple[ToolCallView, ...] = ()
    """Without their arguments and results, which `task RUN TASK` prints."""


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
        # The later turns of a conversation have only what is new.
        asked = next((call.request for call in reversed(made) if call.request.ask), task)
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
                **_tools(record, made),
            )
        )
    return tuple(sheets)


def _tools(record: RunRecord, made: Sequence[RecordedCall]) -> dict[str, Any]:
    """Nothing for a task whose agent has no tools."""
    views = [view for call in made if is_turn(call) for view in tool_calls_of(record, call)]
    short = {"arguments": "", "result": "", "result_ref": None, "id": ""}
    return {"tool_calls": tuple(view.model_copy(update=short) for view in views)} if views else {}


def tool_facts(sheet: TaskSheet) -> list[tuple[str, str]]:
    """Each call of a tool, with its effects, what became of it, and who was asked."""
    facts = [(f"Tool {each.number}", _tool_text(each)) for each in sheet.tool_calls[:MOST_TOOLS]]
    if (left := len(sheet.tool_calls) - MOST_TOOLS) > 0:
        facts.append(("Tools", f"and {more(left, 'call', 'calls')}"))
    return facts


def _tool_text(call: ToolCallView) -> str:
    parts = [call.source or call.name]
    parts += [f"effects: {call.effects}"] if call.effects is not None else []
    parts.append(STATUSES[call.status])
    if call.approval:
        parts.append(call.approval.replace("_", " ") + (f": {call.note}" if call.note else ""))
    if call.decided_at is not None:
        parts.append(f"decided {who_and_when(call.decided_by, call.decided_at)}")
    parts += [f"{usd(call.charged_usd)} USD"] if call.charged_usd else []
    return ", ".join(parts)


def checks_text(sheet: TaskSheet) -> str:
    """The shape of the output and the rules for it, in words."""
    shape = sheet.output if isinstance(sheet.output, str) else "JSON, by a schema"
    return ", ".join(filter(None, (shape, rules_text(sheet.checks))))
