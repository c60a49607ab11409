"""What an upstream that speaks Anthropic's Messages sends, as one that speaks chat sends it."""

from dataclasses import dataclass, field

from durable_agent_team.gateway.calls.sse import DONE, Event, EventParser, comment, event
from durable_agent_team.gateway.calls.upstream_json import upstream_object
from durable_agent_team.gateway.doors.from_messages_answer import ChatChunks, chat_from_message
from durable_agent_team.gateway.json_bodies import dump


def chat_body(raw: bytes) -> bytes:
    """A whole answer. What is no Message is returned as it is."""
    data = upstream_object(raw)
    if data is None or data.get("type") != "message":
        return raw
    return dump(chat_from_message(data))


MAX_EVENT_BYTES = 4 * 1024 * 1024


@dataclass
class ChatStream:
    """`feed` takes bytes as they arrive, and returns those of a chat's stream."""

    _parser: EventParser = field(default_factory=EventParser)
    _chunks: ChatChunks = field(default_factory=ChatChunks)

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
        data = upstream_object(each.data)
        if data is None:
            return event(
                each.data.replace(b"\n", b" ")
            )  # the reader of the chat says what is wrong
        if data.get("type") == "ping":
            return comment(b" ping")
        name = b"event: error\n" if each.name == b"error" else b""
        written = b"".join(name + event(dump(chunk)) for chunk in self._chunks.feed(data))
        return written + event(DONE) if self._chunks.over else written
