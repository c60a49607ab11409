"""When a call may start: a place is free, its money is there, and nothing stops its agent."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

from contracts.errors import ErrorType
from contracts.run import Failure
from contracts.team import Caller
from workflows.budget import Account
from workflows.endings import was_cancelled
from workflows.parking import Parking
from workflows.progress import Progress


class Gate:
    """Lets `max_parallel` calls be in flight, and none start while the run is paused."""

    def __init__(self, progress: Progress, parking: Parking) -> None:
        self._progress = progress
        self._parking = parking
        self._places = asyncio.Semaphore(progress.team.max_parallel)
        self._settled: defaultdict[str, list[asyncio.Future[None]]] = defaultdict(list)
        self._running = asyncio.Event()
        self.pause(progress.paused)

    def pause(self, paused: bool) -> None:
        """While paused, no call starts; those in flight go on."""
        if paused:
            self._running.clear()
        else:
            self._running.set()

    def release(self, agent: str) -> None:
        """Lets calls that wait for money of this agent look again, first come first served."""
        for waiter in self._settled.pop(agent, []):
            if not waiter.done():
                waiter.set_result(None)

    @asynccontextmanager
    async def place(
        self, subject: str, caller: Caller, account: Account, bound: Decimal | None
    ) -> AsyncIterator[None]:
        """One of the places, from the moment that the call may start until it has ended.

        Raises CancelledError where nothing may start any more.
        """
        while True:
            await self._may_start(subject, caller, account, bound)
            async with self._places:
                # Whoever waited for a place asks again: meanwhile much may have happened.
                if self._still_may(caller, account, bound):
                    yield
                    return

    async def _may_start(
        self, subject: str, caller: Caller, account: Account, bound: Decimal | None
    ) -> None:
        while _is_broken(caller, account):
            message = f"{account.failures_in_row} calls in a row failed; it is not called any more"
            opened = Failure(type=ErrorType.BREAKER_OPEN, message=message)
            await self._parking.park(subject, caller, account, opened)
        await self._running.wait()
        if self._progress.stopping or was_cancelled():
            raise asyncio.CancelledError
        while not account.has_room(bound):
            await self.settlement(account.agent)

    def _still_may(self, caller: Caller, account: Account, bound: Decimal | None) -> bool:
        return (
            self._running.is_set()
            and not self._progress.stopping
            and not _is_broken(caller, account)
            and account.has_room(bound)
        )

    async def settlement(self, agent: str) -> None:
        """Returns when a call of this agent has settled, or its limit has changed."""
        waiter: asyncio.Future[None] = asyncio.get_event_loop().create_future()
        self._settled[agent].append(waiter)
        await waiter


def _is_broken(caller: Caller, account: Account) -> bool:
    """The agent's breaker is open."""
    return account.failures_in_row >= caller.breaker_failures
