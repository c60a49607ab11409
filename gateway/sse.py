"""Server-sent events: read as they come, in whatever pieces; written one by one."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

DONE = b"[DONE]"
LINE_END = re.compile(rb"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class Event:
    """`comment` is a line that began with `:`, a heartbeat; such an event has no data."""

    data: bytes = b""
    name: bytes = b""
    comment: bytes | None = None


@dataclass
class Parser:
    """Feed it what arrives; it yields what is whole."""

    _rest: bytes = b""
    _data: list[bytes] = field(default_factory=list)
    _name: bytes = b""

    @property
    def unfinished_bytes(self) -> int:
        return len(self._rest) + sum(map(len, self._data))

    def feed(self, piece: bytes) -> Iterator[Event]:
        text = self._rest + piece
        held = b""
        if text.endswith(b"\r"):  # its line feed may still come
            text, held = text[:-1], b"\r"
        *lines, rest = LINE_END.split(text)
        self._rest = rest + held
        for line in lines:
            event = self._line(line)
            if event is not None:
                yield event

    def finish(self) -> Iterator[Event]:
        """At the end of the stream a last event needs no empty line after it."""
        yield from self.feed(b"\n\n")

    def _line(self, line: bytes) -> Event | None:
        if not line:
            data, name = b"\n".join(self._data), self._name
            self._data, self._name = [], b""
            return Event(data, name) if data else None
        if line.startswith(b":"):
            return Event(comment=line[1:])
        field_name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field_name == b"data":
            self._data.append(value)
        elif field_name == b"event":
            self._name = value
        return None


def event(data: bytes) -> bytes:
    """`data` in one line, as JSON is when it is written without an indent."""
    return b"data: " + data + b"\n\n"


def comment(text: bytes) -> bytes:
    return b":" + text + b"\n\n"
