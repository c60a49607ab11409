"""A run as plain text: its tasks, its spend, its report."""

from collections.abc import Sequence
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
from durable_agent_team.cli.ui.token_text import kinds_text, saved_text
from durable_agent_team.client.runs import RunSummary
from durable_agent_team.contracts.conversation_view import ToolCallStatus
from durable_agent_team.contracts.run import (
    Failure,
    OpenToolCall,
    Refusal,
    RunReport,
    RunState,
    TaskState,
    Waiting,
)
from durable_agent_team.contracts.spend import (
    AgentSpend,
    LedgerAgreement,
    SpendReport,
    Totals,
)
from durable_agent_team.process.called_program import as_called, starter_command
from durable_agent_team.rules.guarantees import broken_promises
from durable_agent_team.rules.safe_text import one_line

AGREEMENT = {
    LedgerAgreement.OPEN: "the accounts are open",
    LedgerAgreement.YES: "agrees",
    LedgerAgreement.NO: "DOES NOT AGREE",
    LedgerAgreement.UNVERIFIABLE: "cannot be verified with this provider",
}


def spend_table(spend: SpendReport) -> str:
    """A line for each agent, the total, and the state of the ledger."""
    rows = [
        [
            each.agent,
            each.status.value,
            _calls(each.calls, each.failed_calls),
            f"{each.prompt_tokens}+{each.completion_tokens}",
            usd(each.spent_usd),
            usd(each.budget_usd),
            usd(each.remaining_usd),
        ]
        for each in spend.agents
    ]
    total = spend.total
    rows.append(
        [
            "total",
            "",
            _calls(total.calls, total.failed_calls),
            f"{total.prompt_tokens}+{total.completion_tokens}",
            usd(total.spent_usd),
            usd(total.budget_usd),
            usd(total.remaining_usd),
        ]
    )
    head = ["agent", "state", "calls", "tokens", "spent USD", "budget", "left"]
    if total.tools_usd:
        _add_tools(head, rows, [*spend.agents, total])
    figures = range(2, len(head))
    return "\n".join([aligned_table(head, rows, right=tuple(figures)), *money_notes(spend)])


def _add_tools(
    head: list[str], rows: Sequence[list[str]], spent: Sequence[AgentSpend | Totals]
) -> None:
    """A column of what calls of tools cost, before what was spent in all."""
    place = head.index("spent USD")
    head.insert(place, "tools USD")
    for row, each in zip(rows, spent, strict=True):
        row.insert(place, usd(each.tools_usd))


def _calls(calls: int, failed: int) -> str:
    return f"{calls} ({failed} failed)" if failed else str(calls)


def money_notes(spend: SpendReport) -> list[str]:
    """What the table of a spend does not show, a line for each."""
    total = spend.total
    lines = []
    if spend.cut_off:
        command = starter_command("reconcile", spend.workflow_id)
        lines.append(
            "Temporal ended the run, so a call in flight may have cost more, and accounts may be"
            f" open: `{command}` closes and reads them"
        )
    if total.reserved_usd:
        lines.append(f"reserved by calls in flight: {usd(total.reserved_usd)} USD")
    kinds = {
        "repairs": sum((each.repairs_usd for each in spend.agents), Decimal(0)),
        "failed attempts": sum((each.failed_attempts_usd for each in spend.agents), Decimal(0)),
        "discarded by a reset": sum((each.discarded_usd for each in spend.agents), Decimal(0)),
    }
    if total.tools_usd:
        kinds = {"tools": total.tools_usd, **kinds}
    parts = [f"{kind} {usd(amount)} USD" for kind, amount in kinds.items() if amount]
    if parts:
        lines.append(f"of the total: {', '.join(parts)}")
    if of_a_kind := kinds_text(total):
        lines.append(f"of the tokens: {of_a_kind}")
    if saved := saved_text(total.saved_usd):
        lines.append(saved)
    if spend.reused_usd is not None:
        lines.append(
            "taken over from other runs (tasks, plan and answer), and not paid here:"
            f" {usd(spend.reused_usd)} USD"
        )
    estimated = sum(each.estimated_charges for each in spend.agents)
    if estimated:
        lines.append(f"charges at their upper bound, without a reported usage: {estimated}")
    if total.possibly_billed_calls:
        lines.append(possibly_billed_text(total.possibly_billed_calls, total.possibly_billed_usd))
    if spend.agents:
        broken = broken_promises(spend.capabilities)
        lines += [f"this provider does not guarantee {n}: {what}" for n, what in broken.items()]
    if spend.ledger_usd is not None:
        lines.append(f"ledger: {usd(spend.ledger_usd)} USD, {AGREEMENT[spend.ledger_agrees]}")
    return lines


def possibly_billed_text(calls: int, most_usd: Decimal) -> str:
    """What the gateway gave up after it was sent, and no account was charged for."""
    what = f"{calls} call{'s' if calls != 1 else ''}"
    return f"may have been billed to the operator: {what}, at most {usd(most_usd)} USD"


def task_table(tasks: Sequence[TaskState]) -> str:
    """A line for each task, in the plan's order."""
    rows = [
        [
            task.id,
            task.agent,
            task.step or task.status.value,
            elapsed(task.started_at, task.ended_at),
            str(task.calls),
            usd(task.spent_usd),
            after_text(task) or "-",
        ]
        for task in tasks
    ]
    head = ["task", "agent", "state", "time", "calls", "spent USD", "after"]
    return "\n".join([aligned_table(head, rows, right=(3, 4, 5)), *reused_lines(tasks)])


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


def failure_lines(tasks: Sequence[TaskState]) -> list[str]:
    return [f"{t.id}: {failure_text(t.failure)}" for t in tasks if t.failure]


def failed_block(
    tasks: Sequence[TaskState], run: Failure | None, *, ended: bool = False
) -> list[str]:
    """What failed and why, and the remedy once for each kind of failure."""
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
    return ["", "failed", *lines] if lines else []


def waiting_text(waiting: Waiting) -> tuple[str, str]:
    """What waits, until when and why; and the command that continues it."""
    until = "" if waiting.until is None else f" until {utc_minute(waiting.until)}"
    others = waiting.calls - 1 if waiting.calls else 0
    who = f"{waiting.subject} and {others} more wait" if others else f"{waiting.subject} waits"
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
        lines += ["", "attempted again (times in UTC)"]
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


def tool_call_text(call: OpenToolCall) -> str:
    """Such as `settle:2.1 (clerk): shop.tools:refund, effects: once, in flight`."""
    effects = f", effects: {call.effects}" if call.effects is not None else ""
    outside = ", after something from outside" if call.tainted else ""
    status = TOOL_STATUSES.get(call.status, call.status.value)
    return (
        f"{call.subject} ({call.agent}): {one_line(flat(call.source))}{effects}, {status}{outside}"
    )


def tool_call_table(calls: Sequence[OpenToolCall]) -> list[str]:
    """Calls that have not ended, a line each."""
    lines = []
    for call in calls:
        since = f" since {elapsed(call.started_at, None)}" if call.started_at else ""
        lines.append(f"  {tool_call_text(call)}{since}")
    return lines


def refusal_text(refusal: Refusal) -> str:
    """What was wrong with a message from outside."""
    return f"{refusal.at:%H:%M:%S} {refusal.message}: {as_called(flat(refusal.problem))}"


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
