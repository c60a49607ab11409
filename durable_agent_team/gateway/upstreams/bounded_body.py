"""Reads a response's body in small pieces up to a limit, so that no answer fills the memory.

aiohttp would unpack each piece that arrives as a whole: 16 KB of gzip become 16 MB.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator

import aiohttp

READ_BYTES = 16 * 1024
PIECE_BYTES = 64 * 1024
MEMBER = b"\x1f\x8b\x08"
"""How one of gzip begins."""


class BodyTooLong(Exception):
    """The body, or what it unpacks to, is longer than the limit."""


class BodyNotUnpacked(Exception):
    """The body is not what its Content-Encoding says; the message says what it should be."""


async def read_pieces(response: aiohttp.ClientResponse, most: int) -> AsyncIterator[bytes]:
    """Yields the unpacked body. Raises BodyTooLong after `most` bytes, packed or unpacked."""
    unpacker = _unpacker(response.headers.get("content-encoding", ""))
    arrived = unpacked = 0
    async for piece in response.content.iter_chunked(READ_BYTES):
        arrived += len(piece)
        if arrived > most:
            raise BodyTooLong
        if unpacker is None:
            yield piece
            continue
        while piece:
            part, piece = unpacker.unpack(piece)
            unpacked += len(part)
            if unpacked > most:
                raise BodyTooLong
            if part:
                yield part
            await asyncio.sleep(0)  # other calls continue while this one unpacks


async def read_body(response: aiohttp.ClientResponse, most: int) -> bytes:
    """The whole unpacked body. Raises BodyTooLong."""
    if _unpacker(response.headers.get("content-encoding", "")) is not None:
        return b"".join([piece async for piece in read_pieces(response, most)])
    pieces = []
    arrived = 0
    while piece := await response.content.readany():
        arrived += len(piece)
        if arrived > most:
            raise BodyTooLong
        pieces.append(piece)
    return b"".join(pieces)


class _Unpacker:
    """Unpacks gzip or deflate, at most PIECE_BYTES at a time. A body of gzip can have several
    members (RFC 1952); other bytes after its end are left out."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        # 32: zlib's or gzip's header, whichever is there.
        self._inflate = zlib.decompressobj(zlib.MAX_WBITS | 32)
        self._fresh = True
        self._next = b""
        """The beginning of what comes after a member."""

    def unpack(self, packed: bytes) -> tuple[bytes, bytes]:
        """Returns an unpacked part, and what is still to be unpacked."""
        if self._inflate.eof:
            packed = self._next + packed
            self._next = packed[: len(MEMBER)]
            if self._next != MEMBER:
                return b"", b""
            self._inflate, self._next = zlib.decompressobj(zlib.MAX_WBITS | 16), b""
        try:
            part = self._inflate.decompress(packed, PIECE_BYTES)
        except zlib.error as error:
            if self._fresh and self._encoding == "deflate":  # some servers leave out zlib's header
                self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
                self._fresh = False
                return self.unpack(packed)
            raise BodyNotUnpacked(f"a body that is not {self._encoding}: {error}") from None
        self._fresh = False
        return part, self._inflate.unused_data or self._inflate.unconsumed_tail


def _unpacker(content_encoding: str) -> _Unpacker | None:
    """None for every other encoding: it was not requested, so the body is read as it is."""
    encoding = content_encoding.strip().lower()
    return _Unpacker(encoding) if encoding in ("gzip", "x-gzip", "deflate") else None
