"""Server-sent events: an incremental parser, and functions that write events."""

from collections.abc import Iterator
from dataclasses import dataclass, field

DONE = b"[DONE]"
BOM = b"\xef\xbb\xbf"
"""A mark of UTF-8, which may stand before a stream (WHATWG's HTML, "Parsing an event stream")."""


@dataclass(frozen=True, slots=True)
class Event:
    """A comment is a line that begins with `:`, such as a heartbeat. It has no data."""

    data: bytes = b""
    name: bytes = b""
    comment: bytes | None = None


@dataclass
class EventParser:
    """`feed` takes bytes as they arrive, split anywhere, and yields complete events."""

    _rest: list[bytes] = field(default_factory=list)
    _rest_bytes: int = 0
    _after_return: bool = False
    _data: list[bytes] = field(default_factory=list)
    _data_bytes: int = 0
    _name: bytes = b""
    _begun: bool = False

    @property
    def unfinished_bytes(self) -> int:
        return self._rest_bytes + self._data_bytes

    def feed(self, piece: bytes) -> Iterator[Event]:
        for line in self._lines(piece):
            if not self._begun:
                self._begun, line = True, line.removeprefix(BOM)
            event = self._line(line)
            if event is not None:
                yield event

    def _lines(self, piece: bytes) -> list[bytes]:
        """The lines that `piece` completes. Takes linear time, also for one very long line."""
        if self._after_return and piece.startswith(b"\n"):
            piece, self._after_return = piece[1:], False
        if piece:
            self._after_return = piece.endswith(b"\r")
        if b"\r" in piece:
            piece = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, rest = piece.split(b"\n")
        if lines and self._rest:
            lines[0] = b"".join(self._rest) + lines[0]
        if lines:
            self._rest, self._rest_bytes = [], 0
        if rest:
            self._rest.append(rest)
            self._rest_bytes += len(rest)
        return lines

    def finish(self) -> Iterator[Event]:
        """Call it at the end of the stream: the last event does not need an empty line after it."""
        yield from self.feed(b"\n\n")

    def _line(self, line: bytes) -> Event | None:
        if not line:
            data, name = b"\n".join(self._data), self._name
            self._data, self._data_bytes, self._name = [], 0, b""
            return Event(data, name) if data else None
        if line.startswith(b":"):
            return Event(comment=line[1:])
        field_name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field_name == b"data":
            self._data.append(value)
            self._data_bytes += len(line)
        elif field_name == b"event":
            self._name = value
        return None


def apart(each: Event) -> list[Event]:
    """The events in one: some servers leave out the empty line between them, so that each line is
    an object, or the end."""
    lines = [line for line in each.data.split(b"\n") if line]
    if len(lines) < 2 or not all(line == DONE or is_object(line) for line in lines):
        return [each]
    return [Event(line, each.name) for line in lines]


def is_object(line: bytes) -> bool:
    return line.startswith(b"{") and line.rstrip().endswith(b"}")


def event(data: bytes) -> bytes:
    """`data` must be a single line, as JSON is without indentation."""
    return b"data: " + data + b"\n\n"


def comment(text: bytes) -> bytes:
    return b":" + text + b"\n\n"
