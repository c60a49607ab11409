"""The answers of the queries `spend` and `state`, and the report, made from a run's progress."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal

from durable_agent_team.contracts.call import MAX_ANSWER
from durable_agent_team.contracts.run import (
    TASKS_PER_PAGE,
    Failure,
    RunReport,
    RunState,
    TaskOutcome,
    TaskState,
)
from durable_agent_team.contracts.spend import AgentSpend, SpendReport, Totals
from durable_agent_team.contracts.team import Task
from workflows.state.progress import Progress

MAX_OUTPUT_BYTES = 800_000
"""Of all hand-offs in a report together, in UTF-8: a payload is limited to 2 MB, and the answer may
be as large."""
CUT_ANSWER = "\n\n[cut here: the report has each task's own output]"
MESSAGE_IN_STATE = 300
MESSAGE_IN_REPORT = 2_000
"""Characters of a failed task's message."""
MAX_GOAL = 500
MAX_WAITING = 50
MAX_DEPENDENCY_CHARS = 50_000
"""Of the ids of all dependencies in a message together: thousands of edges, not a million."""


def spend_report(progress: Progress) -> SpendReport:
    """The answer of the query `spend`."""
    agents = tuple(account.report() for account in progress.accounts.values())
    return SpendReport(
        workflow_id=progress.workflow_id,
        agents=agents,
        total=totals(agents),
        ledger_usd=progress.ledger_usd,
        ledger_agrees=progress.ledger_agrees,
        capabilities=progress.capabilities,
    )


def totals(accounts: Iterable[AgentSpend]) -> Totals:
    """The sums over all agents."""
    reports = list(accounts)
    return Totals(
        budget_usd=sum((each.budget_usd for each in reports), Decimal(0)),
        spent_usd=sum((each.spent_usd for each in reports), Decimal(0)),
        remaining_usd=sum((each.remaining_usd for each in reports), Decimal(0)),
        reserved_usd=sum((each.reserved_usd for each in reports), Decimal(0)),
        calls=sum(each.calls for each in reports),
        failed_calls=sum(each.failed_calls for each in reports),
        prompt_tokens=sum(each.prompt_tokens for each in reports),
        completion_tokens=sum(each.completion_tokens for each in reports),
    )


def run_state(progress: Progress, page: int) -> RunState:
    """The answer of the query `state`: texts are cut, tasks come in pages (from 1)."""
    tasks = list(progress.tasks.schedule.tasks.values())
    first = (page - 1) * TASKS_PER_PAGE
    shown = tasks[first : first + TASKS_PER_PAGE]
    return RunState(
        workflow_id=progress.workflow_id,
        team=progress.team_name,
        goal=progress.goal[:MAX_GOAL],
        status=progress.status_now,
        paused=progress.paused,
        max_parallel=progress.request.team.max_parallel if progress.request else None,
        deadline=progress.deadline,
        cancel_reason=progress.cancel_reason,
        tasks=tuple(_task_states(progress, shown, MESSAGE_IN_STATE)),
        tasks_total=len(tasks),
        page=page,
        waiting=tuple(progress.waiting.values())[:MAX_WAITING],
        refusals=tuple(progress.refusals),
        failure=progress.failure,
    )


def run_report(progress: Progress, ended_at: datetime) -> RunReport:
    """What a run returns: its hand-offs, and what each agent has spent."""
    return RunReport(
        workflow_id=progress.workflow_id,
        team=progress.team_name,
        goal=progress.goal,
        status=progress.status,
        answer=progress.answer,
        outcomes=tuple(_outcomes(progress)),
        spend=spend_report(progress),
        cancel_reason=progress.cancel_reason,
        failure=progress.failure,
        started_at=progress.started_at,
        ended_at=ended_at,
        call_seconds=round(progress.call_seconds, 3),
    )


def _task_states(progress: Progress, tasks: Sequence[Task], shown: int) -> Iterator[TaskState]:
    left = MAX_DEPENDENCY_CHARS
    spent = progress.spent_by_task()
    for task in tasks:
        log = progress.tasks.logs[task.id]
        listed: list[str] = []
        for each in task.depends_on:
            left -= len(each)
            if left < 0:
                break
            listed.append(each)
        yield TaskState(
            id=task.id,
            agent=task.agent,
            status=progress.tasks.schedule.status[task.id],
            depends_on=tuple(listed),
            **({"depends_on_cut": True} if len(listed) < len(task.depends_on) else {}),
            calls=log.calls,
            spent_usd=spent.get(task.id, Decimal(0)),
            started_at=log.started_at,
            ended_at=log.ended_at,
            failure=_cut(log.failure, shown),
        )


def _cut(failure: Failure | None, shown: int) -> Failure | None:
    if failure is None or len(failure.message) <= shown:
        return failure
    return failure.model_copy(update={"message": f"{failure.message[:shown]}…"})


def _outcomes(progress: Progress) -> Iterator[TaskOutcome]:
    left = MAX_OUTPUT_BYTES
    for each in _task_states(
        progress, list(progress.tasks.schedule.tasks.values()), MESSAGE_IN_REPORT
    ):
        output = progress.tasks.handoffs.get(each.id)
        kept = _first_bytes(output, left) if output is not None else None
        left -= len((kept or "").encode())
        yield TaskOutcome(task=each, output=kept, output_cut=kept != output)


def _first_bytes(text: str, most: int) -> str:
    """At most so many bytes of UTF-8, without cutting a character in half."""
    return text.encode()[:most].decode(errors="ignore")


def joined(handoffs: Sequence[str]) -> str:
    """The hand-offs as one answer, cut where they are longer than an answer may be."""
    answer = "\n\n".join(handoffs)
    if len(answer) <= MAX_ANSWER:
        return answer
    return answer[: MAX_ANSWER - len(CUT_ANSWER)] + CUT_ANSWER
