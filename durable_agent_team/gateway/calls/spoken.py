"""What an upstream that speaks Messages or Responses sends, as one that speaks chat sends it."""

from dataclasses import dataclass, field
from typing import Protocol

from durable_agent_team.gateway.calls.sse import DONE, Event, EventParser, comment, event
from durable_agent_team.gateway.calls.upstream_json import upstream_object
from durable_agent_team.gateway.doors.fields import Json
from durable_agent_team.gateway.doors.from_messages_answer import chat_from_message
from durable_agent_team.gateway.doors.from_responses_answer import (
    chat_from_response,
    is_response,
)
from durable_agent_team.gateway.json_bodies import dump


def chat_body(raw: bytes, origin: str) -> bytes:
    """A whole answer of the model `origin`. What is neither a Message nor a Response is returned as
    it is."""
    data = upstream_object(raw)
    if data is None:
        return raw
    if data.get("type") == "message":
        return dump(chat_from_message(data))
    return dump(chat_from_response(data, origin)) if is_response(data) else raw


class Chunks(Protocol):
    """Takes the data of each event of a stream; `over` after the last one."""

    @property
    def over(self) -> bool: ...
    def feed(self, event: Json) -> list[Json]: ...


MAX_EVENT_BYTES = 4 * 1024 * 1024
HEARTBEATS = ("ping", "keepalive")
"""Anthropic's, and the one that OpenAI sends while a model thinks."""


@dataclass
class ChatStream:
    """`feed` takes bytes as they arrive, and returns those of a chat's stream."""

    _chunks: Chunks
    _parser: EventParser = field(default_factory=EventParser)
    _too_long: bool = False

    def feed(self, piece: bytes) -> bytes:
        if self._too_long:
            return b""
        written = b"".join(map(self._translate, self._parser.feed(piece)))
        if self._parser.unfinished_bytes > MAX_EVENT_BYTES:
            self._too_long = True
            written += event(b"(an event of more than %d bytes)" % MAX_EVENT_BYTES)
        return written

    def end(self) -> bytes:
        return b"".join(map(self._translate, self._parser.finish()))

    def _translate(self, each: Event) -> bytes:
        if each.comment is not None:
            return comment(each.comment)
        if each.data.strip() == DONE:
            return b""  # some add it; whether the answer is whole, its own last event says
        data = upstream_object(each.data)
        if data is None:  # the reader of the chat says what is wrong
            return event(each.data.replace(b"\n", b" "))
        if data.get("type") in HEARTBEATS:
            return comment(b" ping")
        name = b"event: error\n" if each.name == b"error" else b""
        written = b"".join(name + event(dump(chunk)) for chunk in self._chunks.feed(data))
        return written + event(DONE) if self._chunks.over else written
