"""Keeps the blobs of a process that were used last: twenty tasks read one document once."""

import asyncio
from collections import OrderedDict
from typing import Final

from durable_agent_team.blobs.store import BlobStore

CACHED_BYTES: Final = 64 * 1024 * 1024


class CachedBlobs:
    """Implements `BlobStore`. Bounded in bytes; what several want at once is read once."""

    def __init__(self, store: BlobStore, size: int = CACHED_BYTES) -> None:
        self._store = store
        self._size = size
        self._used = 0
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._reading: dict[str, asyncio.Task[bytes]] = {}

    @property
    def place(self) -> str:
        return self._store.place

    async def put(self, sha256: str, data: bytes) -> None:
        """Also one that is kept: it may have expired in the store."""
        await self._store.put(sha256, data)
        self._keep(sha256, data)

    async def get(self, sha256: str) -> bytes:
        kept = self._kept.get(sha256)
        if kept is not None:
            self._kept.move_to_end(sha256)
            return kept
        reading = self._reading.get(sha256)
        if reading is None:
            reading = self._reading[sha256] = asyncio.create_task(self._read(sha256))
            reading.add_done_callback(_look_at_error)
        return await asyncio.shield(reading)  # one that is cancelled does not take it from others

    async def _read(self, sha256: str) -> bytes:
        try:
            data = await self._store.get(sha256)
        finally:
            del self._reading[sha256]
        self._keep(sha256, data)
        return data

    def _keep(self, sha256: str, data: bytes) -> None:
        if len(data) > self._size or sha256 in self._kept:
            return
        self._kept[sha256] = data
        self._used += len(data)
        while self._used > self._size:
            self._used -= len(self._kept.popitem(last=False)[1])


def _look_at_error(reading: asyncio.Task[bytes]) -> None:
    """No caller may be left that needs it."""
    if not reading.cancelled():
        reading.exception()
