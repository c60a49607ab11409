"""An event stream of an MCP server (server-sent events, WHATWG HTML 9.2): bounded, and without what
no session of ours acts on."""

import json
import re
from collections.abc import AsyncIterator
from typing import Any, Final

import httpx2

from activities.tools.mcp.bounded_lines import MAX_LINE_BYTES
from activities.tools.mcp.faults import Fault
from activities.tools.mcp.unasked import Unasked
from activities.tools.mcp.wire_messages import is_answer, is_of_no_use, number_of
from durable_agent_team.rules.half_characters import may_have_halves, without_half_characters

MAX_BODY_BYTES: Final = MAX_LINE_BYTES
"""The size of one answer."""
MAX_STREAM_BYTES: Final = 2 * MAX_BODY_BYTES
MAX_EVENTS: Final = 2_000
"""The events of one response within a minute. Each costs the package a millisecond; those which
nobody waits for are left out, and not counted."""
LEAST_RETRY: Final = 500
"""Milliseconds before a stream that ended is asked for again. The package does it as often as a
server wants, up to a thousand times a second."""
_LINE: Final = re.compile(rb"\r\n|\n|\r")
_ENDS: Final = (b"\n\n", b"\r\n\r\n", b"\r\r")
_IS_PLACE: Final = re.compile(rb"id:[^\n]*\n\n")
"""An event that says where the stream is, and nothing else: only the last one counts."""
_IS_NO_ANSWER: Final = re.compile(
    rb"""(?:(?!data:)[^\r\n]*[\r\n]+)*
    data:\ ?\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?"method"\s*:""",
    re.VERBOSE,
)
"""How an event begins that is a notification or a request, as servers write them."""
BEGINNING: Final = 4_096
_END: Final = re.compile(rb"\r\n\r\n|\n\n|\r\r")


class BoundedEvents(httpx2.AsyncByteStream):
    """The stream in whole events; in place of one that is too long comes an error, and the end."""

    def __init__(self, inner: httpx2.AsyncByteStream, number: int | None = None) -> None:
        """`number` is of the request that the stream answers. The package takes every answer in it
        for that of the request, also a late one to an earlier request."""
        self._inner = inner
        self._number = number
        self._place = b""
        """Where the stream is, if nothing has come since that is read."""
        self._skips = False
        """In the middle of an event that is too long, and no answer."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        held, unasked = bytearray(), Unasked(MAX_STREAM_BYTES, MAX_EVENTS)
        try:
            async for chunk in self._inner:
                looked_at = max(len(held) - 3, 0)
                held += chunk
                unasked.add(len(chunk))
                if end := _last_end(held, looked_at):
                    kept = self._kept(_END.split(bytes(held[:end])))
                    del held[:end]
                    unasked.add(0, len(kept))
                    yield b"".join(kept)
                if len(held) > MAX_BODY_BYTES:
                    if not self._skips and not _IS_NO_ANSWER.match(held, 0, BEGINNING):
                        yield _error(Fault("too_large", too_long(len(held)), bytes=len(held)))
                        return
                    self._skips = True
                    del held[:-3]  # the beginning of its end may be among them
                if unasked.is_too_much:
                    yield _error(Fault("lost", "it sent too much that is no answer"))
                    return
        except httpx2.HTTPError:
            yield self._place  # from where the stream is continued
            raise
        yield self._place + (b"" if self._skips else bytes(held))

    def _kept(self, events: list[bytes]) -> list[bytes]:
        """What the package is to read of them."""
        kept = []
        for each in events[self._skips :]:
            event = _event(each, self._number)
            if _IS_PLACE.fullmatch(event):
                self._place = event
            elif event:
                kept.append(self._place + event)
                self._place = b""
        self._skips = False
        return kept

    async def aclose(self) -> None:
        await self._inner.aclose()


def _last_end(held: bytearray, start: int) -> int:
    """Where the last whole event ends; 0 where none does."""
    found = ((held.rfind(each, start), len(each)) for each in _ENDS)
    return max((position + length for position, length in found if position >= 0), default=0)


def too_long(size: int) -> str:
    return f"an answer of {size} bytes or more, which is more than is read"


def with_whole_characters(body: bytes) -> bytes:
    """The JSON without halves of characters, for which the package refuses a message."""
    if not may_have_halves(body):
        return body
    try:
        return json.dumps(without_half_characters(json.loads(body))).encode()
    except (ValueError, RecursionError):
        return body


def _event(event: bytes, number: int | None) -> bytes:
    """The event as the package is to read it; nothing of one that nobody waits for, but for the
    place from which the stream can be continued."""
    lines = _LINE.split(event)
    data = b"\n".join(line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:"))
    others = [_slower(line) for line in lines if line and not line.startswith((b"data:", b":"))]
    if not data and not others:
        return b""
    if data and not _is_of_no_use(data, number):
        others += [b"data: " + line for line in with_whole_characters(data).split(b"\n")]
    else:
        others = [line for line in others if line.startswith((b"id:", b"retry:"))]
    return b"\n".join(others) + b"\n\n" if others else b""


def _slower(line: bytes) -> bytes:
    asked = line.removeprefix(b"retry:").strip()
    if line.startswith(b"retry:") and asked.isdigit() and len(asked) < 10:
        return b"retry: %d" % max(int(asked), LEAST_RETRY)
    return line


def _is_of_no_use(data: bytes, number: int | None) -> bool:
    try:
        found: Any = json.loads(data)
    except (ValueError, RecursionError):
        return False
    if not isinstance(found, dict):
        return False
    return is_of_no_use(found) or (number is not None and _answers_another(found, number))


def _answers_another(message: dict[str, Any], number: int) -> bool:
    """An error without a number is one that a server could not read the number of."""
    given = message.get("id")
    return is_answer(message) and given is not None and number_of(given) != number


def _error(fault: Fault) -> bytes:
    message = {"jsonrpc": "2.0", "id": None, "error": fault.error()}
    return f"event: message\ndata: {json.dumps(message)}\n\n".encode()
