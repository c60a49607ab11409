"""The graph at work: a task starts the moment its last dependency is done. No waves, no barrier."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from temporalio import workflow

from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.run import Failure, TaskStatus
from durable_agent_team.contracts.team import OnTaskFailure, Task
from workflows.activity_errors import refused
from workflows.state.progress import Progress
from workflows.tasks.assignments import task_assignment
from workflows.tasks.exceptions import TaskFailed, TaskSkipped, was_cancelled
from workflows.tasks.paid_call import PaidCalls
from workflows.tasks.schedule import ENDED

CONSEQUENCES = (ErrorType.DEPENDENCY_FAILED, ErrorType.DEPENDENCY_SKIPPED)


class TaskRunner:
    """Runs the tasks of the adopted plan. `changed` is called when a task has ended."""

    def __init__(self, progress: Progress, calls: PaidCalls, changed: Callable[[], None]) -> None:
        self._progress = progress
        self._calls = calls
        self._changed = changed
        self._ended: asyncio.Future[None] | None = None
        """While there is work: set when the last task has ended, or at the first bug."""
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._cancelled: dict[str, str] = {}

    async def run(self) -> None:
        """Until every task has ended, in whichever way.

        Not an `asyncio.TaskGroup`: that cancels its tasks in the order of a set, another one at
        each replay, and the history has the commands in one order.
        """
        self._tasks.clear()
        self._ended = ended = asyncio.get_event_loop().create_future()
        self._start(self._progress.schedule.start())
        try:
            if self._tasks:
                await asyncio.shield(ended)
        except asyncio.CancelledError:
            self._cancel_all()
            await _whatever_comes(ended)
            raise
        finally:
            self._ended = None

    @property
    def goes_on(self) -> bool:
        """Something still runs or waits, so that what comes now is part of it."""
        return self._ended is not None and not self._ended.done()

    def add(self, task: Task) -> None:
        """One more task, which starts at once if its dependencies are done; while it goes on."""
        self._start(self._progress.add(task))
        self._changed()

    def cancel(self, task_id: str, reason: str) -> None:
        """Stops one task, wherever it is; its dependants decide for themselves.

        Raises `ApplicationError` where it has ended.
        """
        status = self._progress.schedule.status.get(task_id)
        if status is None or status in ENDED or self._ended is None:
            raise refused(f"task = {task_id!r}: {status or 'no such task'}, nothing to cancel")
        running = self._tasks.get(task_id)
        if running is None or running.done():
            self._start(self._progress.task_cancelled(task_id, reason, workflow.now()))
        else:
            self._cancelled[task_id] = reason
            running.cancel()
        self._changed()

    def retry(self, task_id: str) -> None:
        """Starts a failed task anew, while others still run. Raises `ApplicationError`."""
        status = self._progress.schedule.status.get(task_id)
        if status is not TaskStatus.FAILED or self._ended is None or self._progress.stopping:
            raise refused(
                f"task = {task_id!r}: {status or 'no such task'}; only what has failed or is parked"
                " can be tried again, while the run still works"
            )
        ready = self._progress.retried(task_id)
        self._start([task_id, *ready])
        self._changed()

    def _start(self, task_ids: list[str]) -> None:
        if self._ended is None or self._progress.stopping:
            return
        for task_id in task_ids:
            task = self._tasks[task_id] = asyncio.create_task(self._do(task_id))
            task.add_done_callback(self._one_ended)

    def _one_ended(self, task: asyncio.Task[None]) -> None:
        """What leaves a task is a bug: it goes on to fail the workflow task, and waits for its
        fix."""
        if self._ended is None or self._ended.done():
            return
        bug = None if task.cancelled() else task.exception()
        if bug is not None:
            self._ended.set_exception(bug)
        elif all(each.done() for each in self._tasks.values()):
            self._ended.set_result(None)

    def _cancel_all(self) -> None:
        for task in self._tasks.values():
            task.cancel()

    async def _do(self, task_id: str) -> None:
        """One task from its first call to its hand-off; then whoever waited for it starts."""
        try:
            with workflow.create_event_group(task_id, label=task_id).scope():
                handoff = await self._calls.ask(task_assignment(self._progress, task_id))
        except TaskFailed as failed:
            self._failed(task_id, failed.failure)
            return
        except TaskSkipped as skipped:
            ready = self._progress.skipped(task_id, skipped.failure, workflow.now())
        except asyncio.CancelledError:
            if task_id not in self._cancelled:
                raise
            reason = self._cancelled.pop(task_id)
            ready = self._progress.task_cancelled(task_id, reason, workflow.now())
        else:
            ready = self._progress.done(task_id, handoff, workflow.now())
            if was_cancelled() and task_id not in self._cancelled:
                return
        self._changed()
        self._start(ready)

    def _failed(self, task_id: str, failure: Failure) -> None:
        self._progress.failed(task_id, failure, workflow.now())
        self._changed()
        if self._progress.team.on_task_failure is OnTaskFailure.CANCEL_REST:
            self._progress.stopping = True
            self._cancel_all()


async def _whatever_comes(ended: asyncio.Future[None]) -> None:
    """A second cancellation has nothing left to cancel: what was paid is still waited for."""
    while not ended.done():
        with suppress(asyncio.CancelledError):
            await asyncio.shield(ended)
    ended.result()


def missing_result(progress: Progress) -> Failure | None:
    """Why there is no result: the failed task itself, not the one that waited for it."""
    missing = [
        task_id
        for task_id in progress.result_ids()
        if progress.schedule.status[task_id] is not TaskStatus.DONE
    ]
    if not missing:
        return None
    nothing = Failure(type=ErrorType.RUN_FAILED, message=f"task {missing[0]} did not run")
    return first_failure(progress) or nothing


def first_failure(progress: Progress) -> Failure | None:
    """Of a task, and not because of another one's."""
    for task_id, log in progress.logs.items():
        if log.failure and log.failure.type not in CONSEQUENCES:
            message = f"task {task_id}: {log.failure.message}"[:2000]
            return log.failure.model_copy(update={"message": message})
    return None
