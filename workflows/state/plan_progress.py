"""The tasks of a run: the plan, and what has become of each task so far."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

from pydantic import PlainSerializer, PlainValidator

from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.plan import Plan
from durable_agent_team.contracts.run import Failure, TaskStatus
from durable_agent_team.contracts.team import Task
from durable_agent_team.contracts.text_ref import Text
from durable_agent_team.rules.revision import is_added
from workflows.state.taken_over import Reused
from workflows.state.task_log import TaskLog
from workflows.state.task_schedule import ENDED, Schedule


def _status(schedule: Schedule) -> dict[str, str]:
    """All that a schedule knows besides the plan."""
    return {task_id: str(status) for task_id, status in schedule.status.items()}


def _schedule(status: dict[str, str]) -> Schedule:
    schedule = Schedule(())
    schedule.status = {task_id: TaskStatus(each) for task_id, each in status.items()}
    return schedule


@dataclass
class PlanProgress:
    """Keeps the plan, the schedule, the logs and the hand-offs in step."""

    plan: Plan | None = None
    schedule: Annotated[Schedule, PlainValidator(_schedule), PlainSerializer(_status)] = field(
        default_factory=lambda: Schedule(())
    )
    added: set[str] = field(default_factory=set)
    """The ids of tasks that a person added."""
    logs: dict[str, TaskLog] = field(default_factory=dict)
    handoffs: dict[str, Text] = field(default_factory=dict)
    reused: dict[str, Reused] = field(default_factory=dict)
    """The tasks whose hand-off was taken over from another run."""

    def __post_init__(self) -> None:
        if self.plan is not None:
            self.schedule = Schedule.of(self.plan.tasks, self.schedule.status)

    def adopt(self, plan: Plan) -> None:
        """Makes this the plan of the run."""
        self.plan = plan
        self.schedule = Schedule(plan.tasks)
        self.logs = {task.id: TaskLog() for task in plan.tasks}

    def take_over(self, handoffs: Mapping[str, Text], reused: Mapping[str, Reused]) -> None:
        """Marks tasks of the adopted plan as done, before any has started."""
        self.handoffs.update(handoffs)
        self.reused.update(reused)
        self.schedule.resume(handoffs, {})

    @property
    def is_all_reused(self) -> bool:
        """No task has run, or will."""
        return bool(self.reused) and self.reused.keys() == self.schedule.tasks.keys()

    def add(self, task: Task) -> list[str]:
        """Adds a task to the plan; returns its id if it is ready."""
        assert self.plan is not None
        self.plan = self.plan.model_copy(update={"tasks": (*self.plan.tasks, task)})
        self.added.add(task.id)
        self.logs[task.id] = TaskLog()
        return self.schedule.add(task)

    def revise(self, plan: Plan, again: Collection[str]) -> None:
        """Replaces the plan. What is done stays done, except for the tasks to do `again`."""
        known = {task.id for task in plan.tasks}
        self._forget(each for each in tuple(self.handoffs) if each in again or each not in known)
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

    def _forget(self, task_ids: Iterable[str]) -> None:
        """Drops hand-offs, also those that were taken over."""
        for task_id in task_ids:
            self.handoffs.pop(task_id, None)
            self.reused.pop(task_id, None)

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

    def parked(self, subject: str) -> None:
        if self._is_open_task(subject):
            self.schedule.status[subject] = TaskStatus.PARKED

    def resumed(self, subject: str) -> None:
        """What the task waited for has come, in the middle of its work."""
        if self._is_open_task(subject):
            self.schedule.status[subject] = TaskStatus.RUNNING

    def unparked(self, subject: str) -> None:
        if self.schedule.status.get(subject) is TaskStatus.PARKED:
            self.schedule.status[subject] = TaskStatus.READY

    def _is_open_task(self, subject: str) -> bool:
        """A team may have tasks named `answer` or `review`: they have ended by the time that the
        orchestrator makes its own calls of these names."""
        return self.schedule.status.get(subject, TaskStatus.DONE) not in ENDED

    def done(self, task_id: str, handoff: Text, at: datetime) -> list[str]:
        """Records a task's checked output; returns the tasks that are ready because of it."""
        self.handoffs[task_id] = handoff
        self.logs[task_id].ended_at = at
        return self.schedule.done(task_id)

    def failed(self, task_id: str, failure: Failure, at: datetime) -> None:
        """Ends a task as failed, and blocks all tasks that waited for it."""
        self.logs[task_id].end(failure, at)
        for blocked in self.schedule.failed(task_id):
            self._record_blocked(blocked, task_id)

    def skipped(self, task_id: str, failure: Failure, at: datetime) -> list[str]:
        """Ends a task without an output; returns the tasks that are ready, as they accept that."""
        return self._end_without_output(task_id, TaskStatus.SKIPPED, failure, at)

    def cancelled(self, task_id: str, reason: str, at: datetime) -> list[str]:
        """As `skipped`, on an operator's request."""
        failure = Failure(
            type=ErrorType.CANCELLED, message=reason or "by a person, without a reason"
        )
        return self._end_without_output(task_id, TaskStatus.CANCELLED, failure, at)

    def cancel_rest(self, at: datetime) -> None:
        """Ends every task that has not ended as cancelled, at the end of the run."""
        for task_id in self.schedule.cancel_rest():
            log = self.logs[task_id]
            log.ended_at = None if log.started_at is None else at

    def retried(self, task_id: str) -> list[str]:
        """Reopens a failed task, and those that it blocked; returns those of them that are ready
        because all their other dependencies have ended."""
        ready = self.schedule.retry(task_id)
        self._log_reopened()
        return ready

    def redone(self, task_id: str) -> tuple[list[str], list[str]]:
        """Reopens a task that is done, and everything behind it. Returns these, the task first, and
        the other tasks that are ready now."""
        again, ready = self.schedule.redo(task_id)
        self._forget(again)
        self._log_reopened()
        return again, ready

    def _log_reopened(self) -> None:
        for each, status in self.schedule.status.items():
            if status in (TaskStatus.WAITING, TaskStatus.READY):
                self.logs[each].reopen()
        for each, blocker in self.schedule.blockers().items():  # perhaps another one now
            self._record_blocked(each, blocker)

    def _end_without_output(
        self, task_id: str, status: TaskStatus, failure: Failure, at: datetime
    ) -> list[str]:
        self.logs[task_id].end(failure, at)
        ready, blocked = self.schedule.without(task_id, status)
        for each in blocked:
            self._record_blocked(each, task_id)
        return ready

    def _record_blocked(self, task_id: str, by: str) -> None:
        """Records why a task cannot run."""
        status, failure = self.schedule.status[by], self.logs[by].failure
        if status is TaskStatus.FAILED and failure is not None:
            kind, message = ErrorType.DEPENDENCY_FAILED, f"{by} failed: {failure.type}"
        else:
            kind, message = ErrorType.DEPENDENCY_SKIPPED, f"{by} was {status}"
        self.logs[task_id].failure = Failure(type=kind, message=message)

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
