"""Composes a run from its parts. The orchestrator's steps and the handlers reach them here."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from durable_agent_team.contracts.model_catalog import ModelCatalog
from durable_agent_team.contracts.run import RunStatus
from durable_agent_team.contracts.run_snapshot import RunSnapshot
from workflows.activity_executor import ActivityExecutor
from workflows.continuation import Continuation
from workflows.money.limits import Limits
from workflows.money.run_accounts import RunAccounts
from workflows.people.approval import Approval
from workflows.people.deadline import Deadline
from workflows.people.notifier import Notifier
from workflows.people.parking import Parking
from workflows.state.progress import Progress, is_terminal
from workflows.state.publisher import Publisher
from workflows.task_exceptions import TaskFailed, TaskSkipped, was_cancelled
from workflows.tasks.checked_answers import CheckedAnswers
from workflows.tasks.runner import TaskRunner


class Run:
    """The parts of one run, and what has to reach several of them."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.activities = ActivityExecutor(self.progress.changed)
        self.publisher = Publisher(self.progress, self.activities)
        self.accounts = RunAccounts(self.progress, self.activities)
        self.limits = Limits(self.progress, self.activities)
        self.notifier = Notifier(self.progress, self.activities)
        self.parking = Parking(self.progress, self.notifier)
        self.approval = Approval(self.progress, self.notifier)
        self.deadline = Deadline(self.progress, self.release_waiters)
        self.continuation = Continuation(self.progress, self._is_quiet)
        self.answers: CheckedAnswers | None = None
        """Once the accounts are open."""
        self.runner: TaskRunner | None = None
        """Once the plan is made, and approved."""
        self.is_taken_up = progress.execution == 1
        """False until the calls of an earlier execution are awaited again, and what was parked
        waits again."""
        self._wakes_unpaid = False
        """A `resume` has come that has not woken anything yet."""
        self._steps: asyncio.Task[None] | None = None

    def make_answers(self, catalog: ModelCatalog) -> CheckedAnswers:
        self.answers = CheckedAnswers(
            self.progress, self.activities, self.accounts, self.parking, self.approval, catalog
        )
        return self.answers

    @property
    def takes_tasks(self) -> bool:
        """Tasks are being worked on, and one that is added is waited for."""
        if not self.is_taken_up:
            return self.progress.status is RunStatus.WORKING
        return self.runner is not None and self.runner.is_running

    def take_up(self) -> None:
        """Continues where an earlier execution of the run was. Does nothing in the first one."""
        if not self.is_taken_up:
            self.is_taken_up = True
            self.deadline.set(self.progress.deadline)
            self._wake_unpaid()

    def wake_unpaid(self) -> None:
        """Makes the calls continue that wait for an upstream to be paid."""
        self._wakes_unpaid = True
        self._wake_unpaid()

    def _wake_unpaid(self) -> None:
        """Once what was parked can be reached again."""
        if self.is_taken_up and self._wakes_unpaid:
            self._wakes_unpaid = False
            self.parking.wake_unpaid()

    def make_runner(self, answers: CheckedAnswers) -> TaskRunner:
        self.runner = TaskRunner(self.progress, answers)
        return self.runner

    async def carry_out(self, steps: Coroutine[Any, Any, None]) -> RunSnapshot | None:
        """Runs the steps until they are done, have failed, or are cancelled by the signal or by
        Temporal, and records which. Where the run is to continue as new, returns what its next
        execution starts with.

        Only expected exceptions are caught: a bug must fail the workflow task, and wait for its fix
        with the accounts open.
        """
        self._steps = asyncio.create_task(steps)
        if self.progress.stopping:
            self._steps.cancel()
        continuing = asyncio.create_task(self._until_ready_to_continue())
        try:
            while not self._steps.done():
                await self._until_one_is_done(self._steps, continuing)
                if continuing.done() and not self._steps.done():
                    snapshot = self._snapshot() if self.continuation.is_ready else None
                    if snapshot is not None:
                        return snapshot
                    self._hold(False)
                    continuing = asyncio.create_task(self._until_ready_to_continue())
            await self._steps
        except asyncio.CancelledError:
            self.progress.stop("cancelled in Temporal")
        except (TaskFailed, TaskSkipped) as ended:
            self.progress.failure = ended.failure
        finally:
            continuing.cancel()
        return None

    async def _until_one_is_done(
        self, steps: asyncio.Task[None], other: asyncio.Task[None]
    ) -> None:
        """A cancellation of the workflow cancels the steps."""
        one: asyncio.Future[None] = asyncio.get_event_loop().create_future()
        for each in (steps, other):
            each.add_done_callback(lambda _: None if one.done() else one.set_result(None))
        try:
            await one
        except asyncio.CancelledError:
            steps.cancel()

    async def _until_ready_to_continue(self) -> None:
        if not await self.continuation.due():
            await asyncio.get_event_loop().create_future()
        self._hold(True)
        await self.continuation.ready()

    def _snapshot(self) -> RunSnapshot | None:
        if self.answers is not None:
            self.answers.prepare_to_continue()
        snapshot = self.continuation.snapshot()
        if snapshot is not None and not self.activities.has_room_for(len(snapshot.state)):
            self.continuation.postpone(events=1)
            return None
        return snapshot

    def _is_quiet(self) -> bool:
        """What every task and step waits for is in the state: a call, a slot, money or a person.
        A tool in flight is not called again, where its effect must happen once."""
        is_cancelling = self._steps is not None and self._steps.cancelling() > 0
        if self.runner is not None:
            is_cancelling = is_cancelling or self.runner.is_cancelling
        is_checking = self.answers is not None and self.answers.is_checking
        is_busy = is_cancelling or is_checking or self.progress.has_effects_in_flight
        return not is_busy and not self.accounts.is_reading

    def _hold(self, held: bool) -> None:
        if self.answers is not None:
            self.answers.gate.hold(held)

    def cancel(self, reason: str) -> None:
        """Cancels the steps, unless the run has ended already."""
        if is_terminal(self.progress.status):
            return
        self.progress.stop(reason)
        if self._steps is not None and not self._steps.done():
            self._steps.cancel()

    def raise_if_cancelled(self) -> None:
        """Between two steps: one that completes while it is cancelled swallows the cancellation."""
        if self.progress.cancel_reason is not None or was_cancelled():
            raise asyncio.CancelledError

    def pause(self, paused: bool) -> None:
        """While paused, no call starts; those in flight continue."""
        self.progress.paused = paused
        if self.answers is not None:
            self.answers.gate.pause(paused)
        self.progress.changed()

    def wake_paid(self, agent: str) -> None:
        """Makes this agent's waiting calls look again: there may be money."""
        self.parking.wake_paid(agent)
        self._look_again(agent)

    def wake_changed(self, agent: str) -> None:
        """Makes this agent's waiting calls look again: it has other settings."""
        self.parking.wake_changed(agent)
        self._look_again(agent)

    def _look_again(self, agent: str) -> None:
        if self.answers is not None:
            self.answers.gate.release(agent)
        self.progress.changed()

    def attempt_again(self, agent: str) -> None:
        """Makes this agent's calls that wait for the end of an outage try at once."""
        if self.answers is not None:
            self.answers.outages.wake_agent(agent)

    def wake_task(self, subject: str) -> bool:
        """Makes a task, or a step of the orchestrator's, continue that is parked or waits for the
        end of an outage. Returns False where nothing of this name does."""
        if self.parking.wake_cause(subject):
            return True
        return self.answers is not None and self.answers.outages.wake(subject)

    def release_waiters(self) -> None:
        """No new call starts: everything that waits ends, and calls in flight continue."""
        self.parking.wake_all()
        if self.answers is not None:
            self.answers.gate.stop()
            self.answers.outages.wake_all()
        self.progress.changed()
