"""Says when a call may start: its money is there, a slot is free, and nothing stops its agent.

It counts calls, not tasks (docs/adr/008), and holds back a call that does not fit into its account
(docs/adr/009).
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
)
from dataclasses import dataclass
from decimal import Decimal

from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.run import Failure
from durable_agent_team.contracts.team import Caller
from durable_agent_team.rules.catalog import caller_of
from workflows.people.parking import Parking
from workflows.state.agent_account import AgentAccount
from workflows.state.progress import Progress
from workflows.task_exceptions import AgentChanged, was_cancelled
from workflows.tasks.semaphore import CallSemaphore


@dataclass(frozen=True)
class Candidate:
    """A call that is ready to start."""

    subject: str
    caller: Caller
    """Its agent's settings when the request was made."""
    account: AgentAccount
    bound: Decimal | None
    """The most that it can cost, in USD, where that is known."""

    @property
    def is_broken(self) -> bool:
        """The agent's circuit breaker is open."""
        return self.account.failures_in_row >= self.caller.breaker_failures

    @property
    def has_room(self) -> bool:
        return self.account.has_room(self.bound)


QUEUE = 100
"""Tasks that wait for a place, or are about to. No more than these are started: each costs time, in
every execution of a run, and a run may have thousands of tasks that are ready."""


class Gate:
    """Limits the calls in flight to `max_parallel`, and starts none while the run is paused."""

    def __init__(self, progress: Progress, parking: Parking) -> None:
        self._progress = progress
        self._parking = parking
        self._places = CallSemaphore(progress.team.max_parallel)
        self._settled: defaultdict[str, list[asyncio.Future[None]]] = defaultdict(list)
        self._running = asyncio.Event()
        self._held = False
        self._coming: set[str] = set()
        """Tasks that were let in, and have not asked for a place yet."""
        self._queued = 0
        """Calls that wait for a place, or for the end of a pause."""
        self.when_not_full: Callable[[], None] | None = None
        """Called whenever it is not full any more."""
        self.pause(progress.paused)

    def pause(self, paused: bool) -> None:
        """While paused, no call starts; those in flight continue."""
        if (paused or self._held) and not self._progress.stopping:
            self._running.clear()
        else:
            self._running.set()

    def hold(self, held: bool) -> None:
        """As a pause that is not shown: no call starts while the run gets ready to continue as
        new."""
        self._held = held
        self.pause(self._progress.paused)

    def resize(self, max_parallel: int) -> None:
        """For calls that have not started; those in flight continue."""
        self._places.resize(max_parallel)

    def stop(self) -> None:
        """Releases the calls that a pause holds, in a run in which no call starts any more: each
        then raises CancelledError.

        Calls that wait for a slot, or for money in flight, look again when that is released.
        """
        self._running.set()

    def release(self, agent: str) -> None:
        """Lets calls that wait for this agent's money look again, in the order of their arrival."""
        for waiter in self._settled.pop(agent, []):
            if not waiter.done():
                waiter.set_result(None)

    @property
    def is_full(self) -> bool:
        """Whether so many tasks wait for a place that others need not start yet. Tasks that wait
        for money, for a person or for the end of an outage do not count."""
        return len(self._coming) + self._queued >= QUEUE

    def expect(self, task: str) -> None:
        """The task has started, and will ask for a place, or `leave`."""
        self._coming.add(task)

    def leave(self, task: str) -> None:
        """The task waits for something other than a place, or has ended."""
        self._coming.discard(task)
        self._has_room()

    def _has_room(self) -> None:
        if self.when_not_full is not None and not self.is_full:
            self.when_not_full()

    @contextmanager
    def _waiting_in_line(self) -> Iterator[None]:
        self._queued += 1
        try:
            yield
        finally:
            self._queued -= 1
            self._has_room()

    @asynccontextmanager
    async def slot(self, call: Candidate) -> AsyncIterator[None]:
        """Holds one of the places, from when the call may start until it has ended.

        Raises CancelledError where no call starts any more, and AgentChanged where the agent's
        settings have changed since the request was made.
        """
        self.leave(call.subject)
        while True:
            await self._wait_until_startable(call)
            async with AsyncExitStack() as held:
                with self._waiting_in_line():
                    await held.enter_async_context(self._places.one())
                # Much may have changed while it waited for a slot.
                if self._may_still_start(call):
                    yield
                    return

    @asynccontextmanager
    async def tool_slot(self) -> AsyncIterator[None]:
        """Holds one of the places while a tool is called. Raises CancelledError where nothing new
        starts."""
        while True:
            self._raise_if_stopping()
            with self._waiting_in_line():
                await self._running.wait()
            self._raise_if_stopping()
            async with AsyncExitStack() as held:
                with self._waiting_in_line():
                    await held.enter_async_context(self._places.one())
                self._raise_if_stopping()
                if self._running.is_set():
                    yield
                    return

    def taken_up(self) -> AbstractAsyncContextManager[None]:
        """The place of a call that is in flight since an earlier execution of the run."""
        return self._places.again()

    async def _wait_until_startable(self, call: Candidate) -> None:
        self._raise_if_stopping()
        while call.is_broken:
            failures = call.account.failures_in_row
            lately = "its last call" if failures == 1 else f"{failures} calls in a row"
            message = f"{lately} failed; it is not called any more"
            opened = Failure(type=ErrorType.BREAKER_OPEN, message=message)
            await self._parking.park(call.subject, call.caller, call.account, opened)
        with self._waiting_in_line():
            await self._running.wait()
        self._raise_if_stopping()
        while self._is_current(call) and not call.has_room:
            await self.settlement(call.account.agent)
        if not self._is_current(call):
            raise AgentChanged

    def _raise_if_stopping(self) -> None:
        if self._progress.stopping or was_cancelled():
            raise asyncio.CancelledError

    def _may_still_start(self, call: Candidate) -> bool:
        return (
            self._running.is_set()
            and not self._progress.stopping
            and not call.is_broken
            and self._is_current(call)
            and call.has_room
        )

    def _is_current(self, call: Candidate) -> bool:
        return caller_of(self._progress.team, call.account.agent) is call.caller

    async def settlement(self, agent: str) -> None:
        """Returns when a call of this agent has settled, or its limit has changed."""
        waiter: asyncio.Future[None] = asyncio.get_event_loop().create_future()
        self._settled[agent].append(waiter)
        await waiter
