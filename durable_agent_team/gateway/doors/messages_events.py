"""The chunks of a streamed chat answer as the events of Anthropic's `POST /v1/messages`.

The sequence is that of Anthropic's guide "Streaming messages": `message_start`, for each content
block `content_block_start`, deltas, `content_block_stop`, then `message_delta` and `message_stop`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from durable_agent_team.gateway.doors.chat_answer import (
    GAP,
    bare_id,
    content_text,
    first_choice,
    object_of,
    position_of,
    text_of,
    tool_calls,
)
from durable_agent_team.gateway.doors.fields import Json
from durable_agent_team.gateway.doors.messages_answer import (
    NATIVE,
    ending,
    error_from_chat,
    frame,
    tool_block,
    usage_of,
)
from durable_agent_team.gateway.doors.thinking import BLOCKS, thinking_text, valid_blocks

Event = tuple[str, Json]
EMPTY_TEXT: Json = {"type": "text", "text": ""}
EMPTY_THINKING: Json = {"type": "thinking", "thinking": "", "signature": ""}


@dataclass
class MessageEvents:
    """`feed` takes a chunk, `finish` ends the message after its last one."""

    request: Json
    _begun: bool = False
    _identity: str = ""
    _open: tuple[str, Any] | None = None
    """The block that deltas are added to: its kind, and for a tool call the upstream's index."""
    _index: int = -1
    _positions: set[int] = field(default_factory=set)
    _late: dict[Any, tuple[Json, list[str]]] = field(default_factory=dict)
    """Tool calls that began while another one was open: blocks come one after the other."""
    _choice: Json = field(default_factory=dict)
    _refused: bool = False
    _usage: Json = field(default_factory=dict)

    def feed(self, chunk: Json) -> Iterator[Event]:
        if not self._begun:
            yield from self._begin(chunk)
        self._usage = object_of(chunk, "usage") or self._usage
        choice = first_choice(chunk)
        delta = object_of(choice, "delta")
        for block in valid_blocks(delta.get(BLOCKS)):
            yield from self._block(block)
        if (thought := thinking_text(delta)) and not delta.get(BLOCKS):
            if self._open != ("thinking", None) and self._index >= 0:  # a block of its own here
                thought = thought.removeprefix(GAP)
            yield from self._switch("thinking", None, EMPTY_THINKING)
            yield self._delta(type="thinking_delta", thinking=thought)
        refusal = text_of(delta, "refusal")
        self._refused = self._refused or bool(refusal)
        for text in (content_text(delta), refusal):
            if text:
                yield from self._switch("text", None, EMPTY_TEXT)
                yield self._delta(type="text_delta", text=text)
        for call in tool_calls(delta):
            yield from self._call(call)
        if choice.get("finish_reason"):
            kept = ("finish_reason", NATIVE, "stop_sequence")
            self._choice = {name: choice[name] for name in kept if name in choice}

    def finish(self) -> Iterator[Event]:
        if not self._begun:
            yield from self._begin({})
        yield from self._close()
        for call, arguments in self._late.values():
            yield from self._start(
                ("tool_use", None), tool_block(call, self._identity, self._index)
            )
            yield self._delta(type="input_json_delta", partial_json="".join(arguments))
            yield from self._close()
        called: list[Json] = [{}] if self._positions else []
        said = {"refusal": "yes" if self._refused else "", "tool_calls": called}
        choice = {**self._choice, "message": said}
        yield _event("message_delta", delta=ending(choice), usage=usage_of(self._usage))
        yield _event("message_stop")

    def error(self, error: Json) -> Event:
        return "error", error_from_chat({"error": error})

    def heartbeat(self) -> Event:
        return _event("ping")

    def _begin(self, chunk: Json) -> Iterator[Event]:
        """The usage is known at the end only: `message_delta` has all of it."""
        self._begun, self._identity = True, bare_id(chunk)
        message = {**frame(chunk, self.request), "usage": {"input_tokens": 0, "output_tokens": 0}}
        yield _event("message_start", message=message)

    def _start(self, kind: tuple[str, Any], block: Json) -> Iterator[Event]:
        self._open, self._index = kind, self._index + 1
        yield _event("content_block_start", index=self._index, content_block=block)

    def _switch(self, kind: str, position: Any, block: Json) -> Iterator[Event]:
        if self._open != (kind, position):
            yield from self._close()
            yield from self._start((kind, position), block)

    def _delta(self, **delta: Any) -> Event:
        return _event("content_block_delta", index=self._index, delta=delta)

    def _close(self) -> Iterator[Event]:
        if self._open is not None:
            self._open = None
            yield _event("content_block_stop", index=self._index)

    def _block(self, block: Json) -> Iterator[Event]:
        """A block of thinking as the upstream signed it, whole or in parts."""
        if block["type"] == "redacted_thinking":
            yield from self._close()
            yield from self._start(("redacted_thinking", None), block)
            yield from self._close()
            return
        yield from self._switch("thinking", None, EMPTY_THINKING)
        if block["thinking"]:
            yield self._delta(type="thinking_delta", thinking=block["thinking"])
        if block["signature"]:
            yield self._delta(type="signature_delta", signature=block["signature"])
            yield from self._close()

    def _call(self, call: Json) -> Iterator[Event]:
        """A chunk of a tool call: the first one has its id and its name."""
        position = position_of(call, len(self._positions))
        self._positions.add(position)
        arguments = text_of(call["function"], "arguments")
        if position in self._late:
            self._late[position][1].append(arguments)
            return
        current = ("tool_use", position)
        if self._open != current:
            if self._open is not None and self._open[0] == "tool_use":
                self._late[position] = (call, [arguments])
                return
            yield from self._switch(*current, tool_block(call, self._identity, self._index))
        if arguments:
            yield self._delta(type="input_json_delta", partial_json=arguments)


def _event(kind: str, /, **data: Any) -> Event:
    return kind, {"type": kind, **data}
