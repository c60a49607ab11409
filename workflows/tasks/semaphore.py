"""How many calls may be in flight, where that number may change while they are."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class CallSemaphore:
    """A semaphore whose size changes. What is taken stays taken: it shrinks as places come back."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._free = asyncio.Semaphore(size)
        self._owed = 0
        """Places that are to go, as soon as they are free."""

    def resize(self, size: int) -> None:
        """More places are there at once; fewer, once so many were given back."""
        change, self._size = size - self._size, size
        self._owed += max(-change, 0)
        for _ in range(change):
            self._give_back()

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Holds a place; who waits for one gets it first come first served."""
        await self._free.acquire()
        while self._owed:
            self._owed -= 1
            await self._free.acquire()
        try:
            yield
        finally:
            self._give_back()

    def _give_back(self) -> None:
        if self._owed:
            self._owed -= 1
        else:
            self._free.release()
