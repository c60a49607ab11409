"""Composes a run from its parts. The orchestrator's steps and the handlers reach them here."""

import asyncio
from collections.abc import Coroutine
from datetime import datetime
from typing import Any

from durable_agent_team.contracts.spend import ModelCatalog
from workflows.activity_executor import ActivityExecutor
from workflows.money.limits import Limits
from workflows.money.run_accounts import RunAccounts
from workflows.people.approval import Approval
from workflows.people.deadline import Deadline
from workflows.people.notifier import Notifier
from workflows.people.parking import Parking
from workflows.state.progress import Progress, is_terminal
from workflows.state.publisher import Publisher
from workflows.task_exceptions import TaskFailed, TaskSkipped, was_cancelled
from workflows.tasks.paid_call import PaidCalls
from workflows.tasks.runner import TaskRunner


class Run:
    """The parts of one run, and what has to reach several of them."""

    def __init__(self, workflow_id: str, started_at: datetime) -> None:
        self.progress = Progress(workflow_id, started_at)
        self.activities = ActivityExecutor(self.progress.changed)
        self.publisher = Publisher(self.progress, self.activities)
        self.accounts = RunAccounts(self.progress, self.activities)
        self.limits = Limits(self.progress, self.activities, self.accounts)
        self.notifier = Notifier(self.progress, self.activities)
        self.parking = Parking(self.progress, self.notifier)
        self.approval = Approval(self.progress, self.notifier)
        self.deadline = Deadline(self.progress, self.release_waiters)
        self.calls: PaidCalls | None = None
        """Once the accounts are open."""
        self.runner: TaskRunner | None = None
        """Once the plan is made, and approved."""
        self._steps: asyncio.Task[None] | None = None

    def make_calls(self, catalog: ModelCatalog) -> PaidCalls:
        self.calls = PaidCalls(self.progress, self.activities, self.accounts, self.parking, catalog)
        return self.calls

    def make_runner(self, calls: PaidCalls) -> TaskRunner:
        self.runner = TaskRunner(self.progress, calls)
        return self.runner

    async def carry_out(self, steps: Coroutine[Any, Any, None]) -> None:
        """Runs the steps until they are done, have failed, or are cancelled by the signal or by
        Temporal, and records which.

        Only expected exceptions are caught: a bug must fail the workflow task, and wait for its fix
        with the accounts open.
        """
        self._steps = asyncio.create_task(steps)
        if self.progress.stopping:
            self._steps.cancel()
        try:
            await self._steps
        except asyncio.CancelledError:
            self.progress.stop("cancelled in Temporal")
        except (TaskFailed, TaskSkipped) as ended:
            self.progress.failure = ended.failure

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
        if self.calls is not None:
            self.calls.gate.pause(paused)
        self.progress.changed()

    def wake(self, agent: str) -> None:
        """Makes this agent's waiting calls look again: there may be money, or other settings."""
        self.parking.wake_agent(agent)
        if self.calls is not None:
            self.calls.gate.release(agent)
        self.progress.changed()

    def release_waiters(self) -> None:
        """No new call starts: everything that waits ends, and calls in flight continue."""
        self.parking.wake_all()
        if self.calls is not None:
            self.calls.gate.stop()
        self.progress.changed()
