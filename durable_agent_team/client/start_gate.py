"""Starts many runs at once: as many together as Temporal answers soon, the others in their turn."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final, TypeVar
from weakref import WeakKeyDictionary

from temporalio.client import Client
from temporalio.service import RPCError

AT_ONCE: Final = 16
"""Starts in flight at once. More make each of them slower, and none of them sooner done."""
START_SECONDS: Final = 60.0
"""How long one start can take while Temporal answers otherwise: it may be busy with other runs."""
ATTEMPT_TIMEOUT: Final = timedelta(seconds=10)
"""The time limit of one attempt; the SDK makes others."""
LOOK_SECONDS: Final = 4.0
HEALTH_SECONDS: Final = 1.0

T = TypeVar("T")


class StartGate:
    """Holds starts back, and waits for a slow one as long as Temporal is there.

    The SDK itself repeats a start that was refused because of the load, or that was not answered,
    with the same request id, so that it cannot start two runs.
    """

    def __init__(self, is_alive: Callable[[], Awaitable[bool]], at_once: int = AT_ONCE) -> None:
        self._is_alive = is_alive
        self._places = asyncio.Semaphore(at_once)
        self._silent_at = float("-inf")
        """When Temporal was last found not to answer. Starts that waited then fail at once, instead
        of finding out one after the other."""

    async def start(self, start: Callable[[], Awaitable[T]]) -> T:
        """Returns what `start` returns. Raises TimeoutError if Temporal does not answer."""
        loop = asyncio.get_running_loop()
        arrived = loop.time()
        async with self._places:
            if self._silent_at >= arrived:
                raise TimeoutError
            starting = asyncio.ensure_future(start())
            try:
                return await self._wait_for(starting, loop.time() + START_SECONDS)
            finally:
                starting.cancel()

    async def _wait_for(self, starting: asyncio.Future[T], until: float) -> T:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.wait({starting}, timeout=min(LOOK_SECONDS, until - loop.time()))
            if starting.done():
                return starting.result()
            if not await self._is_alive():
                self._silent_at = loop.time()
                raise TimeoutError
            if loop.time() >= until:
                raise TimeoutError


_gates: WeakKeyDictionary[Client, StartGate] = WeakKeyDictionary()


def gate_of(client: Client) -> StartGate:
    """All starts of one client go through one gate."""
    if client not in _gates:
        _gates[client] = StartGate(lambda: answers(client))
    return _gates[client]


async def answers(client: Client) -> bool:
    """Whether Temporal's frontend answers. That is sooner than a start: it needs no database."""
    timeout = timedelta(seconds=HEALTH_SECONDS)
    try:
        async with asyncio.timeout(HEALTH_SECONDS):
            return await client.service_client.check_health(timeout=timeout)
    except (RPCError, TimeoutError):
        return False
