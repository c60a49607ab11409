"""Pure: what is said of a run, made of its progress: two queries' answers, and the report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from durable_agent_team.contracts.call import MAX_ANSWER
from durable_agent_team.contracts.run import (
    TASKS_PER_PAGE,
    Failure,
    RunReport,
    RunState,
    TaskOutcome,
    TaskState,
)
from durable_agent_team.contracts.spend import SpendReport
from durable_agent_team.contracts.team import Task
from workflows.money.account import totals

if TYPE_CHECKING:
    from workflows.state.progress import Progress

MAX_OUTPUT_BYTES = 800_000
"""Of all hand-offs in a report together, in UTF-8: a payload ends at 2 MB, and the answer may take
as much."""
CUT_ANSWER = "\n\n[cut here: the report has each task's own output]"
SHOWN_IN_STATE = 300
SHOWN_IN_REPORT = 2_000
"""Characters of a failed task's message."""
MAX_GOAL = 500
MAX_WAITING = 50
MAX_DEPENDENCY_CHARS = 50_000
"""Of the names of all dependencies in a message together: thousands of edges, not a million."""


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


def run_state(progress: Progress, page: int) -> RunState:
    """The answer of the query `state`: small, its texts cut and its tasks paged (from 1)."""
    tasks = list(progress.schedule.tasks.values())
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
        tasks=tuple(_task_states(progress, shown, SHOWN_IN_STATE)),
        tasks_total=len(tasks),
        page=page,
        waiting=tuple(progress.waiting.values())[:MAX_WAITING],
        refusals=tuple(progress.refusals),
        failure=progress.failure,
    )


def run_report(progress: Progress, ended_at: datetime) -> RunReport:
    """What a run answers with: its hand-offs, and the exact price of each agent."""
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
    for task in tasks:
        log = progress.logs[task.id]
        told: list[str] = []
        for each in task.depends_on:
            left -= len(each)
            if left < 0:
                break
            told.append(each)
        yield TaskState(
            id=task.id,
            agent=task.agent,
            status=progress.schedule.status[task.id],
            depends_on=tuple(told),
            **({"depends_on_cut": True} if len(told) < len(task.depends_on) else {}),
            calls=log.calls,
            spent_usd=log.spent_usd,
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
    for each in _task_states(progress, list(progress.schedule.tasks.values()), SHOWN_IN_REPORT):
        output = progress.handoffs.get(each.id)
        kept = _first_bytes(output, left) if output is not None else None
        left -= len((kept or "").encode())
        yield TaskOutcome(task=each, output=kept, output_cut=kept != output)


def _first_bytes(text: str, most: int) -> str:
    """No more than so many bytes of UTF-8, and no half character."""
    return text.encode()[:most].decode(errors="ignore")


def joined(handoffs: Sequence[str]) -> str:
    """The answer that is made of hand-offs alone. Many of them may be more than an answer."""
    answer = "\n\n".join(handoffs)
    if len(answer) <= MAX_ANSWER:
        return answer
    return answer[: MAX_ANSWER - len(CUT_ANSWER)] + CUT_ANSWER
