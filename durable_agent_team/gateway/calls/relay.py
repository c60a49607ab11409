"""Passes a streamed answer on to the client, and keeps a compressed copy for replays."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Protocol

WINDOW_BITS, MEMORY_LEVEL = 12, 5
"""32 KB of state for each stream in flight. As chunks are alike, a window of 4 KB is enough."""
CHUNK_BYTES = 64 * 1024


class Compressor(Protocol):
    """What `zlib.compressobj` returns has no public name."""

    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


class Relay:
    """Connects a call, which runs on its own, with its client, which reads at its own pace.

    What the client has read is dropped. With `keep`, the whole answer is kept, compressed.
    """

    def __init__(self, *, keep: bool) -> None:
        self._unread: list[bytes] = []
        self._changed = asyncio.Event()
        self._closed = False
        self._client_connected = True
        self._keep = keep
        self._compressor: Compressor | None = None
        self._pieces: list[bytes] = []
        self.is_complete = False
        """The end of a whole answer was added; set by the call."""

    def add(self, piece: bytes, *, stored: bool = True) -> None:
        """`stored=False` is for what is not part of the answer, such as a heartbeat."""
        if self._keep and stored:
            self._store(piece)
        if self._client_connected:
            self._unread.append(piece)
            self._changed.set()

    def _store(self, piece: bytes) -> None:
        if self._compressor is None:
            self._compressor = zlib.compressobj(1, zlib.DEFLATED, WINDOW_BITS, MEMORY_LEVEL)
        if compressed := self._compressor.compress(piece):
            self._pieces.append(compressed)

    def compressed(self, tail: bytes) -> bytes:
        """Returns the whole answer with its `tail`, or nothing if it was not kept. Call it once."""
        if not self._keep:
            return b""
        self._store(tail)
        assert self._compressor is not None
        whole = b"".join(self._pieces) + self._compressor.flush()
        self._keep, self._compressor, self._pieces = False, None, []
        return whole

    def close(self) -> None:
        """Ends `read` after what was added so far."""
        self._closed = True
        self._changed.set()

    @property
    def is_read(self) -> bool:
        """Whether the client has got all of a whole answer."""
        return self.is_complete and not self._unread

    def client_left(self) -> None:
        """Drops what the client has not read, and all that is added later."""
        self._client_connected = False
        self._unread.clear()

    async def read(self) -> AsyncIterator[bytes]:
        """Yields what was added since the last time, until the relay is closed."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            if self._unread:
                piece, self._unread = b"".join(self._unread), []
                yield piece
            if self._closed and not self._unread:
                return


def decompress(compressed: bytes) -> Iterator[bytes]:
    """A kept answer, in pieces of up to CHUNK_BYTES."""
    decompressor = zlib.decompressobj()
    piece = decompressor.decompress(compressed, CHUNK_BYTES)
    while piece:
        yield piece
        piece = decompressor.decompress(decompressor.unconsumed_tail, CHUNK_BYTES)
