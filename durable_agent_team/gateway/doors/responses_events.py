"""The chunks of a streamed chat answer as the typed events of `POST /v1/responses`.

The sequence is that of OpenAI's reference of streaming events: for each output item `added`, its
parts and deltas, `done`; at the end the whole Response.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from durable_agent_team.gateway.doors.chat_answer import (
    GAP,
    bare_id,
    content_text,
    first_choice,
    logprobs_of,
    object_of,
    position_of,
    text_of,
    tool_calls,
)
from durable_agent_team.gateway.doors.fields import Json
from durable_agent_team.gateway.doors.reasoning_details import DETAILS, valid_details
from durable_agent_team.gateway.doors.responses_answer import (
    call_item,
    ending,
    final_id,
    message_item,
    reasoning_item,
    refusal_part,
    response_frame,
    text_part,
    usage_of,
)
from durable_agent_team.gateway.doors.thinking import BLOCKS, merged, thinking_text, valid_blocks

Event = tuple[str, Json]
"""The event's name, and its data."""
TEXT, REFUSAL, THOUGHT, CALL = "output_text", "refusal", "reasoning_text", "function_call"
"""What an item consists of. The names of the events of the first three begin so, too."""
ENDS = {"completed": "response.completed", "incomplete": "response.incomplete"}


@dataclass
class _OpenItem:
    """An output item that deltas are added to."""

    kind: str
    index: int
    identity: str
    call: Json = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    logprobs: list[Any] = field(default_factory=list)
    blocks: list[Json] = field(default_factory=list)
    details: list[Json] = field(default_factory=list)
    phase: str = ""
    has_part: bool = False

    @property
    def text(self) -> str:
        return "".join(self.texts)

    @property
    def place(self) -> Json:
        place = {"item_id": self.identity, "output_index": self.index}
        return place if self.kind == CALL else {**place, "content_index": 0}

    def part(self, *, empty: bool = False) -> Json:
        text, logprobs = ("", []) if empty else (self.text, self.logprobs)
        if self.kind == TEXT:
            return text_part(text, logprobs)
        return refusal_part(text) if self.kind == REFUSAL else {"type": THOUGHT, "text": text}

    def item(self) -> Json:
        if self.kind == CALL:
            return {**self.call, "status": "completed", "arguments": self.text}
        if self.kind == THOUGHT:
            return reasoning_item(self.identity, self.text, merged(self.blocks), self.details)
        return message_item(self.identity, "completed", [self.part()], self.phase)


@dataclass
class ResponseEvents:
    """`feed` takes a chunk, `finish` ends the answer after its last one."""

    request: Json
    _frame: Json = field(default_factory=dict)
    _identity: str = ""
    _number: int = 0
    _items: dict[int, Json] = field(default_factory=dict)
    """Those that are done, by their index."""
    _next_index: int = 0
    _answers: int = 0
    """Items that are no thinking."""
    _current: _OpenItem | None = None
    """A message or thinking: there is one at a time."""
    _calls: dict[Any, _OpenItem] = field(default_factory=dict)
    """Tool calls, by the upstream's index: some upstreams send several at once."""
    _finish_reason: Any = None
    _usage: Json | None = None

    def feed(self, chunk: Json) -> Iterator[Event]:
        if not self._frame:
            yield from self._begin(chunk)
        if tier := text_of(chunk, "service_tier"):
            self._frame = {**self._frame, "service_tier": tier}
        self._usage = usage_of(chunk) or self._usage
        choice = first_choice(chunk)
        delta = object_of(choice, "delta")
        if thought := thinking_text(delta):
            yield from self._text(THOUGHT, thought, [])
        blocks, details = valid_blocks(delta.get(BLOCKS)), valid_details(delta.get(DETAILS))
        if blocks or details:
            yield from self._switch(THOUGHT)
            assert self._current is not None
            self._current.blocks += blocks
            self._current.details += details
        phase = text_of(delta, "phase")
        if text := content_text(delta):
            yield from self._text(TEXT, text, logprobs_of(choice), phase)
        if refusal := text_of(delta, "refusal"):
            yield from self._text(REFUSAL, refusal, [], phase)
        for call in tool_calls(delta):
            yield from self._call(call)
        self._finish_reason = choice.get("finish_reason") or self._finish_reason

    def finish(self) -> Iterator[Event]:
        if not self._frame:
            yield from self._begin({})
        if not self._answers:
            yield from self._switch(TEXT)
        yield from self._close_all()
        state = ending(self._finish_reason)
        output = [self._items[index] for index in sorted(self._items)]
        state["id"] = final_id(self.request, self._identity, output)
        whole = {**self._frame, **state, "output": output, "usage": self._usage}
        yield self._event(ENDS[state["status"]], response=whole)

    def error(self, error: Json) -> Event:
        """The stream's last event after an error. `error` is what OpenAI's client raises."""
        message, code = error.get("message"), error.get("code")
        return self._event("error", message=message, code=code, param=None, error=error)

    def heartbeat(self) -> None:
        """A comment of the upstream is passed on as it is."""

    def _event(self, kind: str, /, **data: Any) -> Event:
        self._number += 1
        return kind, {"type": kind, "sequence_number": self._number - 1, **data}

    def _begin(self, chunk: Json) -> Iterator[Event]:
        self._identity = bare_id(chunk)
        self._frame = response_frame(chunk, self.request, self._identity)
        yield self._event("response.created", response=self._frame)
        yield self._event("response.in_progress", response=self._frame)

    def _switch(self, kind: str, phase: str = "") -> Iterator[Event]:
        """Opens a message or an item of thinking, unless one of its kind is open."""
        if self._current is not None and self._current.kind == kind:
            return
        yield from self._close_all()
        index = self._take_index()
        self._answers += kind != THOUGHT
        prefix = "rs" if kind == THOUGHT else "msg"
        identity = f"{prefix}_{self._identity}" + (f"_{index}" if index else "")
        self._current = _OpenItem(kind, index, identity, phase=phase)
        if kind == THOUGHT:
            yield self._added(index, reasoning_item(identity, "", [], []))
        else:
            yield self._added(index, message_item(identity, "in_progress", [], phase))
            yield self._open_part(self._current)

    def _take_index(self) -> int:
        self._next_index += 1
        return self._next_index - 1

    def _added(self, index: int, item: Json) -> Event:
        return self._event("response.output_item.added", output_index=index, item=item)

    def _open_part(self, item: _OpenItem) -> Event:
        item.has_part = True
        part = item.part(empty=True)
        return self._event("response.content_part.added", **item.place, part=part)

    def _text(self, kind: str, text: str, logprobs: list[Any], phase: str = "") -> Iterator[Event]:
        yield from self._switch(kind, phase)
        item = self._current
        assert item is not None
        if not item.has_part:
            yield self._open_part(item)
            if kind == THOUGHT and item.index:  # it is an item of its own here
                text = text.removeprefix(GAP)
        item.texts.append(text)
        item.logprobs += logprobs
        more = {"logprobs": logprobs} if kind == TEXT else {}
        yield self._event(f"response.{kind}.delta", **item.place, delta=text, **more)

    def _call(self, call: Json) -> Iterator[Event]:
        """A chunk of a tool call: the first one has its id and its name."""
        position, identity = position_of(call, len(self._calls)), text_of(call, "id")
        item = self._calls.get(position)
        if item is None or (identity and identity != item.call["call_id"]):
            if self._current is not None:
                yield from self._close_all()
            if item is not None:
                yield from self._close(self._calls.pop(position))
            index = self._take_index()
            self._answers += 1
            shown = {**call_item(self._identity, index, call, "in_progress"), "arguments": ""}
            item = self._calls[position] = _OpenItem(CALL, index, shown["id"], shown)
            yield self._added(index, shown)
        if arguments := text_of(call["function"], "arguments"):
            item.texts.append(arguments)
            name = "response.function_call_arguments.delta"
            yield self._event(name, **item.place, delta=arguments)

    def _close_all(self) -> Iterator[Event]:
        if self._current is not None:
            yield from self._close(self._current)
        for item in self._calls.values():
            yield from self._close(item)
        self._current, self._calls = None, {}

    def _close(self, item: _OpenItem) -> Iterator[Event]:
        if item.kind == CALL:
            name = "response.function_call_arguments.done"
            yield self._event(name, **item.place, name=item.call["name"], arguments=item.text)
        elif item.has_part:
            said = {"refusal" if item.kind == REFUSAL else "text": item.text}
            more = {"logprobs": item.logprobs} if item.kind == TEXT else {}
            yield self._event(f"response.{item.kind}.done", **item.place, **said, **more)
            yield self._event("response.content_part.done", **item.place, part=item.part())
        done = self._items[item.index] = item.item()
        yield self._event("response.output_item.done", output_index=item.index, item=done)
