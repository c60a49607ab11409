"""What has happened in a run so far. No Temporal in here."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.plan import Plan
from durable_agent_team.contracts.run import (
    Failure,
    Refusal,
    RunReport,
    RunRequest,
    RunState,
    RunStatus,
    TaskStatus,
    Waiting,
)
from durable_agent_team.contracts.spend import (
    Capabilities,
    LedgerAgreement,
    ModelCatalog,
    SpendReport,
)
from durable_agent_team.contracts.team import Task, Team
from durable_agent_team.rules.review import is_added
from workflows.money.account import AgentAccount
from workflows.state.reports import run_report, run_state, spend_report
from workflows.tasks.schedule import ENDED, Schedule

MAX_REFUSALS = 20
MAY_PARK = frozenset(
    {RunStatus.PLANNING, RunStatus.WORKING, RunStatus.REVIEWING, RunStatus.FINISHING}
)
"""Where calls are made that may wait for money."""


@dataclass
class TaskLog:
    """What is known of one task beside its place in the graph."""

    calls: int = 0
    spent_usd: Decimal = Decimal(0)
    started_at: datetime | None = None
    ended_at: datetime | None = None
    failure: Failure | None = None


@dataclass
class Progress:
    """The whole state of a run."""

    workflow_id: str
    started_at: datetime
    request: RunRequest | None = None
    status: RunStatus = RunStatus.STARTING
    paused: bool = False
    cancel_reason: str | None = None
    stopping: bool = False
    """Nothing new may start."""
    failure: Failure | None = None
    answer: str | None = None
    accounts: dict[str, AgentAccount] = field(default_factory=dict)
    capabilities: Capabilities = field(default_factory=Capabilities)
    catalog: ModelCatalog = field(default_factory=ModelCatalog)
    deadline: datetime | None = None
    """From then on nothing new starts."""
    plan: Plan | None = None
    schedule: Schedule = field(default_factory=lambda: Schedule(()))
    added: set[str] = field(default_factory=set)
    """The tasks that a person added."""
    logs: dict[str, TaskLog] = field(default_factory=dict)
    handoffs: dict[str, str] = field(default_factory=dict)
    ordered: int = 0
    """Activities so far: a workflow task that has one has a command."""
    waiting: dict[str, Waiting] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)
    ledger_usd: Decimal | None = None
    ledger_agrees: LedgerAgreement = LedgerAgreement.OPEN
    call_seconds: float = 0

    @property
    def team(self) -> Team:
        """Of a run that was started well; `run` refuses the others first."""
        assert self.request is not None
        return self.request.team

    def change_team(self, **changes: Any) -> None:
        """The team as it is from here on; what the run was started with is in its history."""
        assert self.request is not None
        team = self.request.team.model_copy(update=changes)
        self.request = self.request.model_copy(update={"team": team})

    @property
    def goal(self) -> str:
        return self.request.effective_goal if self.request else ""

    @property
    def team_name(self) -> str:
        return self.request.team.name if self.request else ""

    @property
    def sources(self) -> dict[str, str]:
        """The documents that came with the request, by name."""
        return self.request.sources if self.request else {}

    @property
    def status_now(self) -> RunStatus:
        """As people see it: a run is parked when all that is left waits for one of them, the
        orchestrator's own calls too."""
        busy = any(account.in_flight for account in self.accounts.values())
        if self.status in MAY_PARK and self.waiting and not busy:
            return RunStatus.PARKED
        return self.status

    @property
    def spent_usd(self) -> Decimal:
        return sum((account.spent_usd for account in self.accounts.values()), Decimal(0))

    @property
    def tasks_done(self) -> int:
        return len(self.handoffs)

    def adopt(self, plan: Plan) -> None:
        """The plan that is worked on from here."""
        self.plan = plan
        self.schedule = Schedule(plan.tasks)
        self.logs = {task.id: TaskLog() for task in plan.tasks}

    def add(self, task: Task) -> list[str]:
        """One more task for the plan; answers with its id if it is ready."""
        assert self.plan is not None
        self.plan = self.plan.model_copy(update={"tasks": (*self.plan.tasks, task)})
        self.added.add(task.id)
        self.logs[task.id] = TaskLog()
        return self.schedule.add(task)

    def stop(self, reason: str) -> None:
        """Nothing new starts. The first reason stands."""
        self.stopping = True
        if self.cancel_reason is None and not is_terminal(self.status):
            self.cancel_reason = reason

    def revise(self, plan: Plan, again: Collection[str]) -> None:
        """Another plan for the same run: what is done stays done, but for what is done again."""
        known = {task.id for task in plan.tasks}
        for task_id in [each for each in self.handoffs if each in again or each not in known]:
            del self.handoffs[task_id]
        ended = {
            task_id: status
            for task_id, status in self.schedule.status.items()
            if task_id in known and task_id not in again
        }
        self.plan = plan
        self.schedule = Schedule(plan.tasks)
        self.schedule.resume(self.handoffs, ended)
        before = self.logs
        self.logs = {each: before.get(each) or TaskLog() for each in self.schedule.tasks}
        for task_id, status in self.schedule.status.items():
            if status in (TaskStatus.WAITING, TaskStatus.READY):
                self.logs[task_id].failure = self.logs[task_id].ended_at = None

    def started(self, subject: str, at: datetime) -> None:
        """A call begins. Planning, a review and the final answer are no tasks."""
        self.ordered += 1
        if not self._is_open_task(subject):
            return
        log = self.logs[subject]
        log.calls += 1
        log.started_at = log.started_at or at
        self.schedule.status[subject] = TaskStatus.RUNNING

    def withdrawn(self, subject: str) -> None:
        """A call was refused before it began: it counts when it is made."""
        if self._is_open_task(subject):
            self.logs[subject].calls -= 1

    def _is_open_task(self, subject: str) -> bool:
        """A team may have tasks of the names `answer` and `review`: when the orchestrator's own
        calls of these names are made, they have ended."""
        return self.schedule.status.get(subject, TaskStatus.DONE) not in ENDED

    def done(self, task_id: str, handoff: str, at: datetime) -> list[str]:
        """A task's checked output; answers with the tasks that are ready because of it."""
        self.handoffs[task_id] = handoff
        self.logs[task_id].ended_at = at
        return self.schedule.done(task_id)

    def failed(self, task_id: str, failure: Failure, at: datetime) -> None:
        """A task that will give no output, and with it all that waited for it."""
        self.logs[task_id].failure, self.logs[task_id].ended_at = failure, at
        for blocked in self.schedule.failed(task_id):
            self._blocked(blocked, task_id)

    def ending(self) -> RunStatus:
        """How the run ends, as things stand."""
        if self.failure is not None:
            return RunStatus.FAILED
        return RunStatus.COMPLETED if self.answer is not None else RunStatus.CANCELLED

    def skipped(self, task_id: str, failure: Failure, at: datetime) -> list[str]:
        """A task that ends without an output; answers with those that can live with that."""
        return self._without(task_id, TaskStatus.SKIPPED, failure, at)

    def task_cancelled(self, task_id: str, reason: str, at: datetime) -> list[str]:
        """As `skipped`, by a person's word."""
        failure = Failure(type=ErrorType.CANCELLED, message=reason or "cancelled")
        return self._without(task_id, TaskStatus.CANCELLED, failure, at)

    def retried(self, task_id: str) -> list[str]:
        """A failed task that is to be tried again, and with it all that waited for it; answers with
        those that wait for nothing else."""
        ready = self.schedule.retry(task_id)
        for each, status in self.schedule.status.items():
            if status in (TaskStatus.WAITING, TaskStatus.READY):
                self.logs[each].failure = None
                self.logs[each].ended_at = None
            elif status is TaskStatus.BLOCKED:  # by another one now, perhaps
                self._blocked(each, self.schedule.blocked_by(each))
        return ready

    def _without(
        self, task_id: str, status: TaskStatus, failure: Failure, at: datetime
    ) -> list[str]:
        self.logs[task_id].failure, self.logs[task_id].ended_at = failure, at
        ready, blocked = self.schedule.without(task_id, status)
        for each in blocked:
            self._blocked(each, task_id)
        return ready

    def _blocked(self, task_id: str, by: str) -> None:
        """Why a task can never run, as things stand."""
        status, failure = self.schedule.status[by], self.logs[by].failure
        if status is TaskStatus.FAILED and failure is not None:
            kind, message = ErrorType.DEPENDENCY_FAILED, f"{by} failed: {failure.type}"
        else:
            kind, message = ErrorType.DEPENDENCY_SKIPPED, f"{by} was {status}"
        self.logs[task_id].failure = Failure(type=kind, message=message)

    def ask(self, waiting: Waiting) -> None:
        """Something that only a person can answer, and the command that does."""
        self.waiting[waiting.subject] = waiting

    def park(self, waiting: Waiting) -> None:
        """A call that does not go on without a person."""
        self.ask(waiting)
        if self._is_open_task(waiting.subject):
            self.schedule.status[waiting.subject] = TaskStatus.PARKED

    def unpark(self, subject: str) -> None:
        self.waiting.pop(subject, None)
        if self._is_open_task(subject):
            self.schedule.status[subject] = TaskStatus.READY

    def refuse(self, at: datetime, message: str, problem: str) -> None:
        """Records a message that could not be followed; the last ones are kept."""
        self.refusals.append(Refusal(at=at, message=message[:100], problem=problem[:1000]))
        del self.refusals[:-MAX_REFUSALS]

    def result_ids(self) -> list[str]:
        """The tasks whose hand-offs are the result, with what a review or a person added to it; of
        several sinks, those that came to one."""
        if self.plan is not None and self.plan.result is not None:
            sinks = self.schedule.sinks()
            added = [each for each in sinks if is_added(each) or each in self.added]
            done = [each for each in added if each in self.handoffs]
            return [self.plan.result, *(each for each in done if each != self.plan.result)]
        sinks = self.schedule.sinks()
        left_out = (TaskStatus.SKIPPED, TaskStatus.CANCELLED)
        kept = [each for each in sinks if self.schedule.status[each] not in left_out]
        return kept or sinks

    def spend(self) -> SpendReport:
        return spend_report(self)

    def state(self, page: int = 1) -> RunState:
        return run_state(self, page)

    def report(self, ended_at: datetime) -> RunReport:
        return run_report(self, ended_at)


def is_terminal(status: RunStatus) -> bool:
    return status in {RunStatus.COMPLETED, RunStatus.CANCELLED, RunStatus.FAILED}
