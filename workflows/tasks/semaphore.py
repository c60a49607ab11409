"""A semaphore whose size can change while it is held."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class CallSemaphore:
    """Limits the calls in flight. When it shrinks, the places that are held are kept until they are
    given back."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._free = asyncio.Semaphore(size)
        self._owed = 0
        """Places to remove as soon as they are free."""

    def resize(self, size: int) -> None:
        """Adds places at once; removes them as they are given back."""
        change, self._size = size - self._size, size
        self._owed += max(-change, 0)
        for _ in range(change):
            self._give_back()

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Holds a slot. Waiting callers get one in the order of their arrival."""
        await self._free.acquire()
        while self._owed:
            self._owed -= 1
            await self._free.acquire()
        try:
            yield
        finally:
            self._give_back()

    @asynccontextmanager
    async def again(self) -> AsyncIterator[None]:
        """Holds the place of a call that is in flight already: it never waits for one, and where
        none is free, the next one that is given back is not used again."""
        if self._free.locked():
            self._owed += 1
        else:
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
