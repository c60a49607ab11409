"""Limits the bytes that requests hold in memory at once."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class ByteBudget:
    """Hands out bytes in the order of the requests; a request that needs more than all of them
    waits until it is alone."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._free = size
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def hold(self, size: int) -> AsyncIterator[None]:
        needed = min(size, self._size)
        await self._take(needed)
        try:
            yield
        finally:
            self._free += needed
            self._hand_out()

    async def _take(self, needed: int) -> None:
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((needed, place))
        self._hand_out()
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._free += needed
            self._hand_out()
            raise

    def _hand_out(self) -> None:
        while self._waiting:
            needed, place = self._waiting[0]
            if place.done():  # its request was cancelled
                self._waiting.popleft()
            elif needed <= self._free:
                self._waiting.popleft()
                self._free -= needed
                place.set_result(None)
            else:
                return
