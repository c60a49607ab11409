"""An answer on its way: what has come goes on at once, and is kept for a repetition."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Protocol

WINDOW_BITS, MEMORY_LEVEL = 12, 5
"""32 KB of state for each stream in flight. Chunks repeat each other: 4 KB back is enough."""
REPLAYED_BYTES = 64 * 1024


class Packer(Protocol):
    """What `zlib.compressobj` returns has no public name."""

    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


class Relay:
    """Between the call, which goes on by itself, and the client, which reads at its own pace.

    What the client has read is dropped. With `keep`, the whole answer is kept, packed.
    """

    def __init__(self, *, keep: bool) -> None:
        self._unread: list[bytes] = []
        self._news = asyncio.Event()
        self._closed = False
        self._listening = True
        self._keep = keep
        self._pack: Packer | None = None
        self._packed: list[bytes] = []

    def add(self, piece: bytes, *, lasting: bool = True) -> None:
        """`lasting=False`: not a part of the answer, as a heartbeat is none."""
        if self._keep and lasting:
            self._keep_too(piece)
        if self._listening:
            self._unread.append(piece)
            self._news.set()

    def _keep_too(self, piece: bytes) -> None:
        if self._pack is None:
            self._pack = zlib.compressobj(1, zlib.DEFLATED, WINDOW_BITS, MEMORY_LEVEL)
        if packed := self._pack.compress(piece):
            self._packed.append(packed)

    def packed(self, tail: bytes) -> bytes:
        """The whole answer with its `tail`, for `unpack`, once; empty if it was not kept."""
        if not self._keep:
            return b""
        self._keep_too(tail)
        assert self._pack is not None
        whole = b"".join(self._packed) + self._pack.flush()
        self._keep, self._pack, self._packed = False, None, []
        return whole

    def close(self) -> None:
        """No more will come."""
        self._closed = True
        self._news.set()

    def leave(self) -> None:
        """The client has gone: nothing waits for it any more."""
        self._listening = False
        self._unread.clear()

    async def read(self) -> AsyncIterator[bytes]:
        """What has come since the last time, until the relay is closed."""
        while True:
            await self._news.wait()
            self._news.clear()
            if self._unread:
                piece, self._unread = b"".join(self._unread), []
                yield piece
            if self._closed and not self._unread:
                return


def unpack(packed: bytes) -> Iterator[bytes]:
    """A kept answer, in pieces of a bounded size."""
    unpacker = zlib.decompressobj()
    piece = unpacker.decompress(packed, REPLAYED_BYTES)
    while piece:
        yield piece
        piece = unpacker.decompress(unpacker.unconsumed_tail, REPLAYED_BYTES)
