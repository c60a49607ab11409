"""A run as plain text: its tasks, its spend, its report."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from durable_agent_team.cli.output import (
    aligned_table,
    clip,
    duration_text,
    elapsed,
    flat,
    for_reader,
    usd,
    utc_minute,
)
from durable_agent_team.cli.ui.decided_text import decided_lines
from durable_agent_team.cli.ui.remedies import ENDED, next_commands, remedy_of, remedy_of_waiting
from durable_agent_team.cli.ui.retry_text import retrying_text
from durable_agent_team.cli.ui.spend_table import spend_table
from durable_agent_team.client.runs import RunSummary
from durable_agent_team.client.terminated_runs import OPEN_STATUSES
from durable_agent_team.contracts.conversation_view import ToolCallStatus
from durable_agent_team.contracts.run import (
    Failure,
    OpenToolCall,
    Refusal,
    RunReport,
    RunState,
    TaskState,
    TaskStatus,
    Waiting,
)
from durable_agent_team.process.called_program import as_called, starter_command
from durable_agent_team.rules.counts import counted, more
from durable_agent_team.rules.safe_text import one_line


def task_table(tasks: Sequence[TaskState]) -> str:
    """A line for each task, in the plan's order."""
    rows = [
        [
            task.id,
            task.agent,
            task.step or task.status.value,
            task_time(task),
            str(task.calls),
            usd(task.spent_usd),
            after_text(task) or "-",
        ]
        for task in tasks
    ]
    head = ["task", "agent", "state", "time", "calls", "spent USD", "after"]
    return "\n".join([aligned_table(head, rows, right=(3, 4, 5)), *reused_lines(tasks)])


def task_time(task: TaskState, ended: datetime | None = None) -> str:
    """How long a task has taken, or takes; `ended` is the end of a run that has ended. Empty for a
    task that has ended at a time that is not known, as in runs of earlier versions."""
    last = task.ended_at or ended
    is_known = last is not None or task.status in OPEN_STATUSES
    return elapsed(task.started_at, last) if is_known else ""


def reused_lines(tasks: Sequence[TaskState]) -> list[str]:
    """Where the hand-offs are from that were taken over, a line for each run."""
    origins: dict[str, list[TaskState]] = {}
    for task in tasks:
        if task.reused_from is not None:
            origins.setdefault(task.reused_from, []).append(task)
    return [
        f"taken over from {flat(origin)}, {usd(_reused_usd(reused))} USD there:"
        f" {', '.join(task.id for task in reused)}"
        for origin, reused in origins.items()
    ]


def _reused_usd(tasks: Sequence[TaskState]) -> Decimal:
    return sum((task.reused_usd or Decimal(0) for task in tasks), Decimal(0))


def after_text(task: TaskState) -> str:
    """The tasks that a task waits for; `…` where the message was too small for all."""
    return ", ".join((*task.depends_on, "…") if task.depends_on_cut else task.depends_on)


def failure_text(failure: Failure) -> str:
    """Type, figures of a refusal, and the message last, as it may be clipped."""
    return f"{failure.type}{_figures(failure)}: {failure.message}"


def _figures(refused: Failure | Waiting) -> str:
    if refused.required_usd is None or refused.remaining_usd is None:
        return ""
    need, left = usd(refused.required_usd), usd(refused.remaining_usd)
    return f" (required {need} USD, remaining {left} USD)"


def failed_block(
    tasks: Sequence[TaskState], run: Failure | None, *, ended: bool = False
) -> list[str]:
    """What failed, or was left out, and why; and the remedy once for each kind of failure."""
    failed = [(task.id, task.failure) for task in tasks if task.failure]
    if run is not None:
        failed.append(("the run", run))
    lines: list[str] = []
    explained: set[str] = set()
    for who, failure in failed:
        lines += ["  " + line for line in f"{who}: {failure_text(failure)}".splitlines()]
        remedy = remedy_of(failure, ended=ended)
        if remedy and failure.type not in explained:
            lines.append(f"    what to do: {remedy}")
        explained.add(failure.type)
    return ["", failed_heading(tasks, run), *lines] if lines else []


def failed_heading(tasks: Sequence[TaskState], run: Failure | None) -> str:
    """Tasks that a person cancelled or rejected, or that were skipped, have not failed."""
    bad = (TaskStatus.FAILED, TaskStatus.BLOCKED)
    return "failed" if run or any(each.status in bad for each in tasks) else "left out"


def waiting_text(waiting: Waiting) -> tuple[str, str]:
    """What waits, until when and why; and the command that continues it."""
    until = "" if waiting.until is None else f" until {utc_minute(waiting.until)}"
    others = waiting.calls - 1 if waiting.calls else 0
    who = (
        f"{waiting.subject} and {more(others, 'waits', 'wait')}"
        if others
        else f"{waiting.subject} waits"
    )
    text = f"{who}{_figures(waiting)}{until}: {flat(waiting.reason)}"
    return text, one_line(as_called(waiting.command))


def state_text(state: RunState) -> str:
    """All of a run's state."""
    lines = [
        f"run     {flat(state.workflow_id)}",
        f"team    {flat(state.team)}",
        f"status  {state.status}",
    ]
    if state.paused:
        lines[-1] += " (paused)"
    lines.append(f"goal    {clip(state.goal, 200)}")
    if state.max_parallel is not None:
        lines.append(f"calls   {state.max_parallel} at once")
    if state.deadline is not None:
        lines.append(f"until   {utc_minute(state.deadline)}")
    if state.cancel_reason is not None:
        lines.append(f"cancel  {flat(state.cancel_reason) or '(no reason given)'}")
    if state.tasks:
        lines += ["", task_table(state.tasks)]
    lines += _more_than_tasks(state)
    return "\n".join(lines)


def _more_than_tasks(state: RunState) -> list[str]:
    ended = state.status in ENDED
    lines = failed_block(state.tasks, state.failure, ended=ended)
    remedies: set[str] = set()
    if state.retrying:
        lines += ["", "attempted again"]
        lines += [f"  {retrying_text(each)}" for each in state.retrying]
    if state.tool_calls:
        lines += ["", "calls of tools", *tool_call_table(state.tool_calls)]
    if state.waiting:
        lines += ["", "waiting for a person"]
        for each in state.waiting:
            why, how = waiting_text(each)
            lines += [f"  {why}", f"    {how}"]
            remedy = remedy_of_waiting(each)
            if remedy and remedy not in remedies:
                lines.append(f"    what to do: {remedy}")
            remedies.add(remedy)
    if state.decisions:
        lines += ["", "decided by people", *decided_lines(state.decisions)]
    if state.refusals:
        lines += ["", "messages that were rejected, and changed nothing"]
        lines += [f"  {refusal_text(each)}" for each in state.refusals]
    return lines


TOOL_STATUSES = {
    ToolCallStatus.READY: "waits for a free place",
    ToolCallStatus.APPROVAL: "waits for approval",
    ToolCallStatus.RUNNING: "in flight",
    ToolCallStatus.PARKED: "waits for an answer",
}


def tool_call_text(call: OpenToolCall, since: str = "") -> str:
    """Such as `settle:2.1 (clerk): shop.tools:refund, effects: once, in flight`."""
    effects = f", effects: {call.effects}" if call.effects is not None else ""
    outside = ", after something from outside" if call.tainted else ""
    status = TOOL_STATUSES.get(call.status, call.status.value)
    source = one_line(flat(call.source))
    return f"{call.subject} ({call.agent}): {source}{effects}, {status}{since}{outside}"


def tool_call_table(calls: Sequence[OpenToolCall]) -> list[str]:
    """Calls that have not ended, a line each."""
    lines = []
    for call in calls:
        since = f" since {elapsed(call.started_at, None)}" if call.started_at else ""
        lines.append(f"  {tool_call_text(call, since)}")
    return lines


def refusal_text(refusal: Refusal) -> str:
    """What was wrong with a message from outside."""
    at = f"{refusal.at:%Y-%m-%d %H:%M:%S} UTC"
    return f"{at} {refusal.message}: {as_called(flat(refusal.problem))}"


def left_out(report: RunReport) -> str:
    """What a report of thousands of tasks had no room for; empty for any other."""
    if not report.outcomes_cut:
        return ""
    tasks = counted(report.outcomes_cut, "task")
    state = starter_command("state", report.workflow_id)
    return f"times and failures of the last {tasks}, which did not fit: `{state}` shows them"


def report_text(report: RunReport) -> str:
    """A finished run: how it ended, what failed, its answer, its money."""
    took = elapsed(report.started_at, report.ended_at)
    lines = [
        f"run {report.workflow_id}: {report.status} in {took}"
        f" (its calls one after the other: {duration_text(report.call_seconds)})"
    ]
    if report.cancel_reason is not None:
        lines.append(f"cancelled: {flat(report.cancel_reason) or '(no reason given)'}")
    tasks = [outcome.task for outcome in report.outcomes]
    lines += reused_lines(tasks)
    lines += failed_block(tasks, report.failure, ended=True)
    lines += [f"left out here: {text}"] if (text := left_out(report)) else []
    lines += [f"    {command}" for command in next_commands(report)]
    if report.decisions:
        lines += ["", "decided by people", *decided_lines(report.decisions)]
    if report.answer is not None:
        lines += ["", for_reader(report.answer).strip()]
    return "\n".join([*lines, "", spend_table(report.spend)])


def runs_table(runs: Sequence[RunSummary]) -> str:
    rows = [
        [
            run.workflow_id,
            run.team or "-",
            run.status,
            usd(run.spent_usd),
            f"{run.started_at:%Y-%m-%d %H:%M:%S}",
            elapsed(run.started_at, run.ended_at),
        ]
        for run in runs
    ]
    head = ["run", "team", "status", "spent USD", "started (UTC)", "time"]
    return aligned_table(head, rows, right=(3, 5))
