"""Waits out the outages of models: durably, and without a slot of `max_parallel`."""

import asyncio
from datetime import datetime, timedelta

from temporalio import workflow

from durable_agent_team.contracts.team import Retry
from durable_agent_team.rules.retry_pauses import JITTER, outage_pause, policy_pause
from workflows.state.call_trouble import CallTrouble
from workflows.state.outage import Outage, WaitingCall
from workflows.state.progress import Progress
from workflows.timed_wait import wait_condition


class Outages:
    """The calls of a run that are going to be attempted again, by the task or step they belong to.

    What they wait for is in `Progress`: `outages` by model, `troubled` by call.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._released: dict[str, asyncio.Future[bool]] = {}
        self._watching: dict[str, asyncio.Task[None]] = {}

    async def resumed(self, subject: str) -> bool:
        """Waits again where the call did so in an earlier execution of the run; returns as
        `outlast`."""
        trouble = self._progress.troubled.get(subject)
        if trouble is None or trouble.next_at is None:
            return True
        outage = self._progress.outages.get(trouble.model)
        if outage is None or subject not in outage.waiting:
            return await self._until_next_at(subject, trouble)
        self._start_watching(trouble.model, outage)
        return await self._release(subject, trouble)

    async def outlast(
        self, subject: str, trouble: CallTrouble, retry: Retry, retry_after: timedelta
    ) -> bool:
        """Returns True when the call may be attempted again, by itself or for all calls of its
        model, and False when it has waited for `trouble.until`. `retry_after` is the
        pause that the server asked for.

        Raises CancelledError in a run that starts no new call.
        """
        outage = self._failed(subject, trouble, retry, retry_after)
        due = workflow.now() + max(_pause(retry, trouble.attempts), retry_after)
        outage.wait(subject, WaitingCall(due=due, until=trouble.until))
        self._show(trouble.model, outage)
        self._start_watching(trouble.model, outage)
        return await self._release(subject, trouble)

    async def pause(self, subject: str, trouble: CallTrouble, retry: Retry) -> bool:
        """Waits for the pause of the agent's policy, whatever other calls do. Returns True."""
        seconds = policy_pause(retry, trouble.attempts) * (1 + JITTER * workflow.random().random())
        trouble.next_at = workflow.now() + timedelta(seconds=seconds)
        return await self._until_next_at(subject, trouble)

    async def _until_next_at(self, subject: str, trouble: CallTrouble) -> bool:
        assert trouble.next_at is not None
        left = max(trouble.next_at - workflow.now(), timedelta(milliseconds=1))
        released = asyncio.create_task(self._release(subject, trouble))
        try:
            await wait_condition(released.done, timeout=left, timeout_summary=_summary(trouble))
        except TimeoutError:
            self.wake(subject)
        except asyncio.CancelledError:
            released.cancel()
            raise
        return await released

    def succeeded(self, subject: str, model: str) -> None:
        """A call of this model was answered."""
        outage = self._progress.outages.get(model)
        if outage is not None:
            outage.succeeded(subject)
            self._show(model, outage)

    def gave_up(
        self, subject: str, trouble: CallTrouble, retry: Retry, retry_after: timedelta
    ) -> None:
        """An attempt has failed, and its call does not wait any more."""
        if trouble.model in self._progress.outages:
            self._show(trouble.model, self._failed(subject, trouble, retry, retry_after))

    def leave(self, subject: str) -> None:
        """The call is not attempted any more, or its attempt ended for another reason."""
        for outage in self._progress.outages.values():
            outage.leave(subject)

    def wake(self, subject: str) -> bool:
        """Lets a call try at once. Returns False where nothing of this name waits."""
        released = self._released.get(subject)
        if released is None:
            return False
        self.leave(subject)
        if not released.done():
            released.set_result(True)
        return True

    def wake_agent(self, agent: str) -> None:
        """Lets all calls of this agent try at once."""
        for subject in list(self._released):
            if self._progress.troubled[subject].agent == agent:
                self.wake(subject)

    def wake_all(self) -> None:
        """For a run that ends: each call looks again, and finds that nothing new may start."""
        for subject in list(self._released):
            self.wake(subject)

    def _failed(
        self, subject: str, trouble: CallTrouble, retry: Retry, retry_after: timedelta
    ) -> Outage:
        now = workflow.now()
        outage = self._progress.outages.setdefault(trouble.model, Outage())
        outage.failed(
            subject,
            now,
            trouble.attempts,
            lambda attempts: _pause(retry, attempts),
            now + retry_after,
        )
        for late in outage.give_up(now):
            self._released[late].set_result(False)
        return outage

    def _show(self, model: str, outage: Outage) -> None:
        """Writes into each waiting call when it is attempted, for `state`."""
        for subject, call in outage.waiting.items():
            self._progress.troubled[subject].next_at = outage.next_at or call.due
        self._progress.changed()

    def _start_watching(self, model: str, outage: Outage) -> None:
        if model not in self._watching:
            self._watching[model] = asyncio.create_task(self._watch(model, outage))

    async def _watch(self, model: str, outage: Outage) -> None:
        """Releases the calls that wait for this model, until none is left."""
        while not outage.is_forgotten:
            for subject in outage.admit(workflow.now()):
                self._released[subject].set_result(True)
            await self._until_next(model, outage, outage.next_time())
        del self._watching[model], self._progress.outages[model]

    async def _until_next(self, model: str, outage: Outage, at: datetime | None) -> None:
        timeout = None if at is None else at - workflow.now()
        waiting = next(iter(outage.waiting), None)
        summary = _summary(self._progress.troubled[waiting]) if waiting is not None else model
        try:
            await wait_condition(
                lambda: outage.is_forgotten or outage.next_time() != at,
                timeout=timeout,
                timeout_summary=summary,
            )
        except TimeoutError:
            return

    async def _release(self, subject: str, trouble: CallTrouble) -> bool:
        """Returns what the call is released with."""
        released: asyncio.Future[bool] = asyncio.get_event_loop().create_future()
        self._released[subject] = released
        self._progress.changed()
        try:
            again = await released
        except asyncio.CancelledError:
            self.leave(subject)
            raise
        finally:
            del self._released[subject]
            trouble.next_at = None
            self._progress.changed()
        if self._progress.stopping:
            self.leave(subject)
            raise asyncio.CancelledError
        return again


def _pause(retry: Retry, attempts: int) -> timedelta:
    seconds = outage_pause(retry, attempts)
    return timedelta(seconds=seconds * (1 + JITTER * workflow.random().random()))


def _summary(trouble: CallTrouble) -> str:
    return f"{trouble.model} · {trouble.type} · attempt {trouble.attempts + 1}"
