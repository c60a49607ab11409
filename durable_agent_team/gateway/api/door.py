"""How a call that came in by another door than `/v1/chat/completions` is answered there.

The rest of the gateway knows chat answers only; what is stored is a chat answer, too, and a replay
is translated again.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from durable_agent_team.gateway.calls.sse import DONE, EventParser
from durable_agent_team.gateway.calls.upstream_json import upstream_object
from durable_agent_team.gateway.json_bodies import dump

Json = dict[str, Any]
NamedEvent = tuple[str, Json]


class Events(Protocol):
    """Translates the chunks of one streamed answer."""

    def feed(self, chunk: Json) -> Iterator[NamedEvent]: ...

    def finish(self) -> Iterator[NamedEvent]:
        """After the last chunk, once the charge was written."""

    def error(self, error: Json) -> NamedEvent: ...

    def heartbeat(self) -> NamedEvent | None:
        """For a comment of the upstream; None passes on a comment."""


@dataclass(frozen=True)
class Door:
    """`to_chat` raises ApiError for what it cannot translate. `answer` and `events` get what the
    client sent, too."""

    path: str
    to_chat: Callable[[Json], Json]
    answer: Callable[[Json, Json], Json]
    events: Callable[[Json], Events]
    error: Callable[[Json, int], Json]
    """An error's body, from that of a chat call and its status."""


@dataclass
class DoorAnswer:
    """Translates one call's answer: a whole body, or a stream piece by piece."""

    door: Door
    sent: Json
    _parser: EventParser = field(default_factory=EventParser)
    _events: Events | None = None

    @property
    def events(self) -> Events:
        if self._events is None:
            self._events = self.door.events(self.sent)
        return self._events

    def whole(self, status: int, body: bytes) -> bytes:
        data = upstream_object(body) or {}
        return dump(
            self.door.answer(data, self.sent) if status == 200 else self.door.error(data, status)
        )

    def feed(self, piece: bytes) -> bytes:
        """Pieces end where events end, as `Relay` passes them on."""
        written = []
        for each in self._parser.feed(piece):
            if each.comment is not None:
                beat = self.events.heartbeat()
                written.append(b":" + each.comment + b"\n\n" if beat is None else _event(*beat))
            elif each.data == DONE:
                written.append(_write(self.events.finish()))
            elif (chunk := upstream_object(each.data)) is not None:
                written.append(_write(self.events.feed(chunk)))
        return b"".join(written)

    def error(self, error: Json) -> bytes:
        return _event(*self.events.error(error))


def _write(events: Iterable[NamedEvent]) -> bytes:
    return b"".join(_event(name, data) for name, data in events)


def _event(name: str, data: Json) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + dump(data) + b"\n\n"
