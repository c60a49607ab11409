"""Runs the tasks of a plan: each starts as soon as its last dependency is done."""

import asyncio
from collections import deque
from contextlib import suppress

from temporalio import workflow

from durable_agent_team.contracts.run import Failure, TaskStatus
from durable_agent_team.contracts.team import OnTaskFailure, Task
from durable_agent_team.rules.encoded_size import COMMAND_BYTES, MAX_COMMANDS_BYTES
from workflows.activity_errors import refused
from workflows.agent_spans import CANCELLED, end_agent_span
from workflows.command_turns import CommandTurns
from workflows.people.approval import what_waits
from workflows.state.progress import Progress
from workflows.state.tainted_handoffs import note_handoff
from workflows.state.task_schedule import ENDED
from workflows.task_exceptions import TaskFailed, TaskSkipped, was_cancelled
from workflows.tasks.assignments import task_assignment
from workflows.tasks.checked_answers import CheckedAnswers

REDO_DONE = "redo-done-tasks"
"""Runs that had the retry of a task that was done refused, before this patch, refuse it again."""

QUEUES = "tasks-start-in-turn"
"""Runs from before this patch start all tasks that are ready at once."""

STARTS = 150
"""Tasks that start in one workflow task at most: each makes its request, and Temporal's SDK takes a
workflow task of two seconds for a deadlock."""
START_BYTES = MAX_COMMANDS_BYTES // STARTS - COMMAND_BYTES


class TaskRunner:
    """Runs the tasks of the current plan, an asyncio task for each."""

    def __init__(self, progress: Progress, answers: CheckedAnswers) -> None:
        self._progress = progress
        self._answers = answers
        self._ended: asyncio.Future[None] | None = None
        """While tasks run: done when the last one has ended, or at the first bug."""
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._open = 0
        """The number of those that have not ended."""
        self._starts = CommandTurns(progress.changed)
        self._line: deque[str] = deque()
        """Tasks that are ready, and not started while the gate is full."""
        answers.gate.when_not_full = self._start_from_line
        self._cancelled: dict[str, str] = {}
        self._superseded: list[asyncio.Task[None]] = []
        """Cancelled because their tasks are done again; nothing that they still return counts."""

    async def run(self) -> None:
        """Returns when every task has ended, in whichever way.

        Not an `asyncio.TaskGroup`: that cancels its tasks in the order of a set, which differs from
        replay to replay, while the commands have one order in the history.
        """
        self._tasks.clear()
        self._superseded.clear()
        self._line.clear()
        self._ended = ended = asyncio.get_event_loop().create_future()
        self._start(sorted(self._progress.tasks.schedule.start(), key=self._in_flight_first))
        try:
            if self._tasks:
                await asyncio.shield(ended)
        except asyncio.CancelledError:
            self._cancel_all()
            await _wait_through_cancellations(ended)
            raise
        finally:
            self._ended = None

    def _in_flight_first(self, task_id: str) -> int:
        """Calls that are taken up from an earlier execution of the run keep their places; those
        that waited for one come next."""
        call = self._progress.open_calls.get(task_id)
        if call is None:
            return 2
        return 0 if call.key in self._progress.accounts[call.agent].in_flight else 1

    @property
    def is_cancelling(self) -> bool:
        """Some task is being cancelled, and has not ended yet."""
        return bool(self._cancelled) or any(not each.done() for each in self._superseded)

    @property
    def is_running(self) -> bool:
        """Some task has not ended, so that `run` also waits for tasks that are added now."""
        return self._ended is not None and not self._ended.done()

    def add(self, task: Task) -> None:
        """Adds a task, which starts at once if its dependencies have ended. Only while running."""
        self._start(self._progress.tasks.add(task))
        self._progress.changed()

    def cancel(self, task_id: str, reason: str) -> None:
        """Stops one task, started or not; its dependants continue if they accept missing inputs.

        Raises ApplicationError where it has ended.
        """
        status = self._progress.tasks.schedule.status.get(task_id)
        if status is None or status in ENDED or self._ended is None:
            raise refused(self._nothing_to_cancel(task_id, status))
        running = self._tasks.get(task_id)
        if running is None or running.done():
            self._start(self._progress.tasks.cancelled(task_id, reason, workflow.now()))
        else:
            self._cancelled[task_id] = reason
            running.cancel()
        self._progress.changed()

    def retry(self, task_id: str) -> list[str]:
        """Starts a task again that has failed, or is done: then everything behind it is done again
        too. Returns what is done again, the task first. Raises ApplicationError."""
        status = self._progress.tasks.schedule.status.get(task_id)
        working = self._ended is not None and not self._progress.stopping
        again: list[str] = []
        if working and status is TaskStatus.FAILED:
            ready = self._progress.tasks.retried(task_id)
        elif (
            working
            and self.is_running
            and status is TaskStatus.DONE
            and workflow.patched(REDO_DONE)
        ):
            again, ready = self._progress.tasks.redone(task_id)
            for each in again:
                self._supersede(each)
        else:
            raise refused(self._not_tried_again(task_id, status))
        self._start([task_id, *ready])
        self._progress.changed()
        return again

    def _nothing_to_cancel(self, task_id: str, status: TaskStatus | None) -> str:
        problem = f"task = {task_id!r}: {status or 'no such task'}, nothing to cancel"
        task, part, _ = task_id.partition(":")
        if status is not None or not part or task not in self._progress.tasks.schedule.status:
            return problem
        waits = what_waits(self._progress, task_id)
        return f"{problem}; it is a part of the task {task!r}" + (f"; {waits}" if waits else "")

    def _not_tried_again(self, task_id: str, status: TaskStatus | None) -> str:
        """Something of the task may wait for another answer than a retry."""
        waits = what_waits(self._progress, task_id)
        if waits and not self._progress.stopping:
            return f"task = {task_id!r}: a retry does not make it continue; {waits}"
        return (
            f"task = {task_id!r}: {status or 'no such task'}; only what is done, has failed or"
            " is parked can be tried again, while the run still works"
        )

    def _supersede(self, task_id: str) -> None:
        """Cancels what still runs for a task that is done again; its call reports what it cost."""
        self._cancelled.pop(task_id, None)
        self._progress.open_calls.pop(task_id, None)
        self._progress.scopes.pop(task_id, None)
        self._forget_conversation(task_id)
        self._progress.tainted_tasks.discard(task_id)
        running = self._tasks.pop(task_id, None)
        if running is not None and not running.done():
            self._superseded.append(running)
            running.cancel()

    def _forget_conversation(self, task_id: str) -> None:
        ended = self._progress.conversations.pop(task_id, None)
        if ended is not None:
            end_agent_span(ended, task_id, CANCELLED)
            self._progress.tool_work.pop(ended.id, None)

    def _start(self, task_ids: list[str]) -> None:
        """Starts tasks that are ready, or puts them in line while enough others wait for a place.
        Calls that an earlier execution of the run has begun are taken up at once."""
        if self._ended is None or self._progress.stopping:
            return
        for task_id in task_ids:
            if task_id not in self._progress.open_calls and self._must_queue():
                self._line.append(task_id)
            else:
                self._create(task_id)

    def _must_queue(self) -> bool:
        if not self._line and not self._answers.gate.is_full:
            return False
        return workflow.patched(QUEUES)

    def _start_from_line(self) -> None:
        """Starts the first ones in line. They may have been cancelled or be done anew since."""
        if self._ended is None or self._progress.stopping:
            return
        status = self._progress.tasks.schedule.status
        while self._line and not self._answers.gate.is_full:
            task_id = self._line.popleft()
            running = self._tasks.get(task_id)
            if status[task_id] is TaskStatus.READY and (running is None or running.done()):
                self._create(task_id)

    def _create(self, task_id: str) -> None:
        self._answers.gate.expect(task_id)
        task = self._tasks[task_id] = asyncio.create_task(self._run_task(task_id))
        task.add_done_callback(self._task_ended)
        self._open += 1

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        """An exception that leaves a task is a bug: `run` raises it, so that it fails the workflow
        task until it is fixed."""
        self._open -= 1
        if self._ended is None or self._ended.done():
            return
        bug = None if task.cancelled() else task.exception()
        if bug is not None:
            self._ended.set_exception(bug)
        elif not self._open and (not self._line or self._progress.stopping):
            self._ended.set_result(None)

    def _cancel_all(self) -> None:
        self._line.clear()
        for task in self._tasks.values():
            task.cancel()

    async def _run_task(self, task_id: str) -> None:
        """One task from its first call to its hand-off; then starts the tasks that are ready."""
        gate = self._answers.gate
        try:
            await self._starts.take(START_BYTES)
            with workflow.create_event_group(task_id, label=task_id).scope():
                handoff = await self._answers.answer(task_assignment(self._progress, task_id))
        except TaskFailed as failed:
            if self._is_current(task_id):
                self._failed(task_id, failed.failure)
            return
        except TaskSkipped as skipped:
            if not self._is_current(task_id):
                return
            ready = self._progress.tasks.skipped(task_id, skipped.failure, workflow.now())
        except asyncio.CancelledError:
            if task_id not in self._cancelled or not self._is_current(task_id):
                raise
            reason = self._cancelled.pop(task_id)
            if (state := self._progress.conversations.get(task_id)) is not None:
                end_agent_span(state, task_id, CANCELLED)
            ready = self._progress.tasks.cancelled(task_id, reason, workflow.now())
        else:
            if not self._is_current(task_id):
                return
            note_handoff(self._progress, task_id)
            ready = self._progress.tasks.done(task_id, handoff, workflow.now())
            if was_cancelled() and task_id not in self._cancelled:
                return
        finally:
            gate.leave(task_id)
        self._progress.changed()
        self._start(ready)

    def _is_current(self, task_id: str) -> bool:
        """Whether this is the latest run of the task, and not one that was superseded."""
        return self._tasks.get(task_id) is asyncio.current_task()

    def _failed(self, task_id: str, failure: Failure) -> None:
        self._progress.tasks.failed(task_id, failure, workflow.now())
        self._progress.changed()
        if self._progress.team.on_task_failure is OnTaskFailure.CANCEL_REST:
            self._progress.stop_starting()
            self._cancel_all()


async def _wait_through_cancellations(ended: asyncio.Future[None]) -> None:
    """A second cancellation has nothing left to cancel: paid calls are still waited for."""
    while not ended.done():
        with suppress(asyncio.CancelledError):
            await asyncio.shield(ended)
    ended.result()
