"""When a call may start: a place is free, its money is there, and nothing stops its agent."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal

from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.run import Failure
from durable_agent_team.contracts.team import Caller
from durable_agent_team.rules.catalog import caller_of
from workflows.money.account import AgentAccount
from workflows.people.parking import Parking
from workflows.state.progress import Progress
from workflows.tasks.exceptions import AgentChanged, was_cancelled
from workflows.tasks.semaphore import CallSemaphore


@dataclass(frozen=True)
class Candidate:
    """A call that is to start: for what, of whom, and the most that it can cost (USD)."""

    subject: str
    caller: Caller
    """Its agent's settings when the request was made."""
    account: AgentAccount
    bound: Decimal | None

    @property
    def is_broken(self) -> bool:
        """The agent's breaker is open."""
        return self.account.failures_in_row >= self.caller.breaker_failures

    @property
    def has_room(self) -> bool:
        return self.account.has_room(self.bound)


class Gate:
    """Lets `max_parallel` calls be in flight, and none start while the run is paused."""

    def __init__(self, progress: Progress, parking: Parking) -> None:
        self._progress = progress
        self._parking = parking
        self._places = CallSemaphore(progress.team.max_parallel)
        self._settled: defaultdict[str, list[asyncio.Future[None]]] = defaultdict(list)
        self._running = asyncio.Event()
        self.pause(progress.paused)

    def pause(self, paused: bool) -> None:
        """While paused, no call starts; those in flight go on."""
        if paused:
            self._running.clear()
        else:
            self._running.set()

    def resize(self, max_parallel: int) -> None:
        """From now on; calls in flight stay in flight."""
        self._places.resize(max_parallel)

    def stop(self) -> None:
        """Lets go, empty-handed, what a pause holds in a run in which nothing new starts.

        What waits for a place, or for money in flight, is let go when that comes back.
        """
        self._running.set()

    def release(self, agent: str) -> None:
        """Lets calls that wait for money of this agent look again, first come first served."""
        for waiter in self._settled.pop(agent, []):
            if not waiter.done():
                waiter.set_result(None)

    @asynccontextmanager
    async def place(self, call: Candidate) -> AsyncIterator[None]:
        """One of the places, from the moment that the call may start until it has ended.

        Raises CancelledError where nothing may start any more, and AgentChanged where the call
        must be looked at anew first.
        """
        while True:
            await self._may_start(call)
            async with self._places.one():
                # Whoever waited for a place asks again: meanwhile much may have happened.
                if self._still_may(call):
                    yield
                    return

    async def _may_start(self, call: Candidate) -> None:
        self._must_go_on()
        while call.is_broken:
            failures = call.account.failures_in_row
            lately = "its last call" if failures == 1 else f"{failures} calls in a row"
            message = f"{lately} failed; it is not called any more"
            opened = Failure(type=ErrorType.BREAKER_OPEN, message=message)
            await self._parking.park(call.subject, call.caller, call.account, opened)
        await self._running.wait()
        self._must_go_on()
        while self._is_current(call) and not call.has_room:
            await self.settlement(call.account.agent)
        if not self._is_current(call):
            raise AgentChanged

    def _must_go_on(self) -> None:
        if self._progress.stopping or was_cancelled():
            raise asyncio.CancelledError

    def _still_may(self, call: Candidate) -> bool:
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
