"""Splits a stream of bytes into lines of bounded length, at a cost linear in the bytes."""

from dataclasses import dataclass
from typing import Final

MAX_LINE_BYTES: Final = 8 * 1024 * 1024
"""The size of one message. A tool's result is cut to `max_result_bytes`, which is far less."""
ENDS_BYTES: Final = 4_096
"""What is kept of a longer line, at each end: enough to find which request it answers."""


@dataclass(frozen=True)
class LongLine:
    """A line that is longer than the limit: how it begins and ends, and its length."""

    head: bytes
    tail: bytes
    bytes: int


class BoundedLines:
    """Holds at most `limit` bytes of a line that has not ended."""

    def __init__(self, limit: int = MAX_LINE_BYTES) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._length = 0
        self._head = b""
        self._tail = b""

    def feed(self, chunk: bytes) -> list[bytes | LongLine]:
        """The lines that end in this chunk, without their line breaks."""
        lines: list[bytes | LongLine] = []
        start = 0
        while (end := chunk.find(b"\n", start)) >= 0:
            self._add(chunk[start:end])
            lines.append(self._line())
            start = end + 1
        self._add(chunk[start:])
        return lines

    def _add(self, part: bytes) -> None:
        if not part:
            return
        self._length += len(part)
        if self._length <= self._limit:
            self._parts.append(part)
            return
        if self._parts:
            whole = b"".join(self._parts)
            self._head, self._tail = whole[:ENDS_BYTES], whole[-ENDS_BYTES:]
            self._parts = []
        if len(self._head) < ENDS_BYTES:
            self._head += part[: ENDS_BYTES - len(self._head)]
        self._tail = (self._tail + part[-ENDS_BYTES:])[-ENDS_BYTES:]

    def _line(self) -> bytes | LongLine:
        line: bytes | LongLine
        if self._length > self._limit:
            line = LongLine(self._head, self._tail, self._length)
        else:
            line = b"".join(self._parts)
        self._parts, self._length, self._head, self._tail = [], 0, b"", b""
        return line
