"""The graph at work: a task starts the moment its last dependency is done. No waves, no barrier."""

import asyncio
from collections.abc import Callable

from temporalio import workflow

from contracts.errors import ErrorType
from contracts.run import Failure, TaskStatus
from contracts.team import OnTaskFailure
from workflows.assignments import task_assignment
from workflows.calls import Calls, TaskFailed, was_cancelled
from workflows.progress import Progress


class Work:
    """Runs the tasks of the adopted plan. `changed` is called when a task has ended."""

    def __init__(self, progress: Progress, calls: Calls, changed: Callable[[], None]) -> None:
        self._progress = progress
        self._calls = calls
        self._changed = changed

    async def run(self) -> None:
        """Until every task has ended, in whichever way."""
        try:
            async with asyncio.TaskGroup() as group:
                self._start(group, self._progress.schedule.start())
        except* _RestCancelled:
            self._progress.schedule.cancel_rest()

    def _start(self, group: asyncio.TaskGroup, task_ids: list[str]) -> None:
        for task_id in task_ids:
            group.create_task(self._do(group, task_id))

    async def _do(self, group: asyncio.TaskGroup, task_id: str) -> None:
        """One task from its first call to its hand-off; then whoever waited for it starts."""
        try:
            with workflow.create_event_group(task_id, label=task_id).scope():
                handoff = await self._calls.ask(task_assignment(self._progress, task_id))
        except TaskFailed as failed:
            self._failed(task_id, failed.failure)
            return
        ready = self._progress.done(task_id, handoff, workflow.now())
        self._changed()
        if not self._progress.stopping and not was_cancelled():
            self._start(group, ready)

    def _failed(self, task_id: str, failure: Failure) -> None:
        self._progress.failed(task_id, failure, workflow.now())
        self._changed()
        if self._progress.team.on_task_failure is OnTaskFailure.CANCEL_REST:
            self._progress.stopping = True
            raise _RestCancelled


class _RestCancelled(Exception):
    """A task failed in a team that then wants the rest cancelled."""


def missing_result(progress: Progress) -> Failure | None:
    """Why there is no result: the failed task itself, not the one that waited for it."""
    missing = [
        task_id
        for task_id in progress.result_ids()
        if progress.schedule.status[task_id] is not TaskStatus.DONE
    ]
    if not missing:
        return None
    for task_id, log in progress.logs.items():
        if log.failure and log.failure.type != ErrorType.DEPENDENCY_FAILED:
            message = f"task {task_id}: {log.failure.message}"[:2000]
            return log.failure.model_copy(update={"message": message})
    return Failure(type=ErrorType.RUN_FAILED, message=f"task {missing[0]} did not run")
