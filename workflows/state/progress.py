"""The state of a run: what has happened so far. Free of Temporal."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.plan import Plan
from durable_agent_team.contracts.run import (
    Failure,
    Refusal,
    RunRequest,
    RunStatus,
    TaskStatus,
    Waiting,
)
from durable_agent_team.contracts.spend import (
    Capabilities,
    Ledger,
    LedgerAgreement,
    ModelCatalog,
)
from durable_agent_team.contracts.team import Task, Team
from durable_agent_team.rules.review import is_added
from workflows.state.agent_account import AgentAccount
from workflows.state.task_log import TaskLog
from workflows.state.task_schedule import ENDED, Schedule

MAX_REFUSALS = 20
MAY_PARK = frozenset(
    {RunStatus.PLANNING, RunStatus.WORKING, RunStatus.REVIEWING, RunStatus.FINISHING}
)
"""In which calls are made, so that one of them may park."""


@dataclass
class Progress:
    """The whole state of a run. Its parts report changes with `changed`, for the publisher."""

    workflow_id: str
    started_at: datetime
    request: RunRequest | None = None
    status: RunStatus = RunStatus.STARTING
    paused: bool = False
    cancel_reason: str | None = None
    stopping: bool = False
    """No new call starts."""
    failure: Failure | None = None
    answer: str | None = None
    accounts: dict[str, AgentAccount] = field(default_factory=dict)
    capabilities: Capabilities = field(default_factory=Capabilities)
    catalog: ModelCatalog = field(default_factory=ModelCatalog)
    deadline: datetime | None = None
    """The time after which no new call starts."""
    plan: Plan | None = None
    schedule: Schedule = field(default_factory=lambda: Schedule(()))
    added: set[str] = field(default_factory=set)
    """The ids of tasks that a person added."""
    logs: dict[str, TaskLog] = field(default_factory=dict)
    handoffs: dict[str, str] = field(default_factory=dict)
    waiting: dict[str, Waiting] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)
    ledger_usd: Decimal | None = None
    ledger_agrees: LedgerAgreement = LedgerAgreement.OPEN
    call_seconds: float = 0
    unpublished: bool = False
    """Something that is shown has changed since the run was last published."""

    def changed(self) -> None:
        """Something that is shown has changed."""
        self.unpublished = True

    def become(self, status: RunStatus) -> None:
        self.status = status
        self.changed()

    @property
    def team(self) -> Team:
        """With the settings as they are now. The run has a valid start input."""
        assert self.request is not None
        return self.request.team

    def change_team(self, **changes: Any) -> None:
        """Changes settings from here on; those that the run was started with are in its history."""
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
        """The status that is shown: a run is parked when all that is left to do, including the
        orchestrator's own calls, waits for a person."""
        busy = any(account.in_flight for account in self.accounts.values())
        if self.status in MAY_PARK and self.waiting and not busy:
            return RunStatus.PARKED
        return self.status

    @property
    def spent_usd(self) -> Decimal:
        return sum((account.spent_usd for account in self.accounts.values()), Decimal(0))

    def spent_by_task(self) -> dict[str, Decimal]:
        """What the calls of each task have cost, in USD. Only tasks that have cost something."""
        spent: dict[str, Decimal] = {}
        for account in self.accounts.values():
            for task_id, amount in account.spent_by_task().items():
                spent[task_id] = spent.get(task_id, Decimal(0)) + amount
        return spent

    def compare_ledgers(self, ledgers: Sequence[Ledger]) -> None:
        """Adds charges that only the ledgers know, and records whether they agree with the run."""
        for ledger in ledgers:
            self.accounts[ledger.agent].read_back(ledger)
        self.ledger_usd = sum((each.spent_usd for each in ledgers), Decimal(0))
        agrees = all(self.accounts[each.agent].agrees_with(each) for each in ledgers)
        self.ledger_agrees = LedgerAgreement.YES if agrees else LedgerAgreement.NO

    @property
    def tasks_done(self) -> int:
        return len(self.handoffs)

    def adopt(self, plan: Plan) -> None:
        """Makes this the plan of the run."""
        self.plan = plan
        self.schedule = Schedule(plan.tasks)
        self.logs = {task.id: TaskLog() for task in plan.tasks}

    def add(self, task: Task) -> list[str]:
        """Adds a task to the plan; returns its id if it is ready."""
        assert self.plan is not None
        self.plan = self.plan.model_copy(update={"tasks": (*self.plan.tasks, task)})
        self.added.add(task.id)
        self.logs[task.id] = TaskLog()
        return self.schedule.add(task)

    def stop(self, reason: str) -> None:
        """No new call starts. The first reason is kept."""
        self.stop_starting()
        if self.cancel_reason is None and not is_terminal(self.status):
            self.cancel_reason = reason

    def stop_starting(self) -> None:
        """No new call starts, without a reason that cancels the run."""
        self.stopping = True

    def revise(self, plan: Plan, again: Collection[str]) -> None:
        """Replaces the plan. What is done stays done, except for the tasks to do `again`."""
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
                self.logs[task_id].reopen()

    def started(self, subject: str, at: datetime) -> None:
        """A call starts. It may be one for planning, a review or the answer, and not for a task."""
        if not self._is_open_task(subject):
            return
        log = self.logs[subject]
        log.calls += 1
        log.started_at = log.started_at or at
        self.schedule.status[subject] = TaskStatus.RUNNING

    def withdrawn(self, subject: str) -> None:
        """A call was refused before it started: it counts when it is made again."""
        if self._is_open_task(subject):
            self.logs[subject].calls -= 1

    def _is_open_task(self, subject: str) -> bool:
        """A team may have tasks named `answer` or `review`: they have ended by the time that the
        orchestrator makes its own calls of these names."""
        return self.schedule.status.get(subject, TaskStatus.DONE) not in ENDED

    def done(self, task_id: str, handoff: str, at: datetime) -> list[str]:
        """Records a task's checked output; returns the tasks that are ready because of it."""
        self.handoffs[task_id] = handoff
        self.logs[task_id].ended_at = at
        return self.schedule.done(task_id)

    def failed(self, task_id: str, failure: Failure, at: datetime) -> None:
        """Ends a task as failed, and blocks all tasks that waited for it."""
        self.logs[task_id].end(failure, at)
        for blocked in self.schedule.failed(task_id):
            self._blocked(blocked, task_id)

    def ending(self) -> RunStatus:
        """The status in which the run ends if it ends now."""
        if self.failure is not None:
            return RunStatus.FAILED
        return RunStatus.COMPLETED if self.answer is not None else RunStatus.CANCELLED

    def skipped(self, task_id: str, failure: Failure, at: datetime) -> list[str]:
        """Ends a task without an output; returns the tasks that are ready, as they accept that."""
        return self._without(task_id, TaskStatus.SKIPPED, failure, at)

    def task_cancelled(self, task_id: str, reason: str, at: datetime) -> list[str]:
        """As `skipped`, on an operator's request."""
        failure = Failure(type=ErrorType.CANCELLED, message=reason or "cancelled")
        return self._without(task_id, TaskStatus.CANCELLED, failure, at)

    def retried(self, task_id: str) -> list[str]:
        """Reopens a failed task, and those that it blocked; returns those of them that are ready
        because all their other dependencies have ended."""
        ready = self.schedule.retry(task_id)
        for each, status in self.schedule.status.items():
            if status in (TaskStatus.WAITING, TaskStatus.READY):
                self.logs[each].reopen()
            elif status is TaskStatus.BLOCKED:  # perhaps by another task now
                self._blocked(each, self.schedule.blocked_by(each))
        return ready

    def _without(
        self, task_id: str, status: TaskStatus, failure: Failure, at: datetime
    ) -> list[str]:
        self.logs[task_id].end(failure, at)
        ready, blocked = self.schedule.without(task_id, status)
        for each in blocked:
            self._blocked(each, task_id)
        return ready

    def _blocked(self, task_id: str, by: str) -> None:
        """Records why a task cannot run."""
        status, failure = self.schedule.status[by], self.logs[by].failure
        if status is TaskStatus.FAILED and failure is not None:
            kind, message = ErrorType.DEPENDENCY_FAILED, f"{by} failed: {failure.type}"
        else:
            kind, message = ErrorType.DEPENDENCY_SKIPPED, f"{by} was {status}"
        self.logs[task_id].failure = Failure(type=kind, message=message)

    def wait_for_person(self, waiting: Waiting) -> None:
        """Shows what waits for a person, with the command that answers it."""
        self.waiting[waiting.subject] = waiting

    def park(self, waiting: Waiting) -> None:
        """A call that does not continue without a person."""
        self.wait_for_person(waiting)
        if self._is_open_task(waiting.subject):
            self.schedule.status[waiting.subject] = TaskStatus.PARKED

    def unpark(self, subject: str) -> None:
        self.waiting.pop(subject, None)
        if self._is_open_task(subject):
            self.schedule.status[subject] = TaskStatus.READY

    def refuse(self, at: datetime, message: str, problem: str) -> None:
        """Records a message that could not be carried out; the last ones are kept."""
        self.refusals.append(Refusal(at=at, message=message[:100], problem=problem[:1000]))
        del self.refusals[:-MAX_REFUSALS]

    def result_ids(self) -> list[str]:
        """The tasks whose hand-offs are the result: the plan's result task, and the done tasks that
        a review or a person added; in a plan that names none, its last tasks."""
        if self.plan is not None and self.plan.result is not None:
            sinks = self.schedule.sinks()
            added = [each for each in sinks if is_added(each) or each in self.added]
            done = [each for each in added if each in self.handoffs]
            return [self.plan.result, *(each for each in done if each != self.plan.result)]
        sinks = self.schedule.sinks()
        left_out = (TaskStatus.SKIPPED, TaskStatus.CANCELLED)
        kept = [each for each in sinks if self.schedule.status[each] not in left_out]
        return kept or sinks


def is_terminal(status: RunStatus) -> bool:
    return status in {RunStatus.COMPLETED, RunStatus.CANCELLED, RunStatus.FAILED}
