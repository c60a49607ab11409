"""The events of a streamed answer of an upstream that speaks OpenAI's Responses as a chat's chunks.

Events: OpenAI's reference, "Streaming events". Those that are not known here are left out: new ones
come, and an answer's text, calls and reasoning are in the known ones.
"""

from dataclasses import dataclass, field
from typing import Any

from durable_agent_team.gateway.doors.chat_answer import count_of, object_of, text_of
from durable_agent_team.gateway.doors.fields import Json, given
from durable_agent_team.gateway.doors.from_responses_answer import (
    GAP,
    asides_in,
    billing_of,
    call_of,
    decides,
    error_of,
    finish_of,
    head_of,
    is_commentary,
    items_in,
    message_text,
    thoughts_in,
    usage_from_responses,
)
from durable_agent_team.gateway.doors.reasoning_details import DETAILS, detail_of

Place = int | str
"""Which item an event is about: its index in the output; its id where a server gives no index."""
ADDED = "response.output_item.added"
STARTS = ("response.created", "response.queued", "response.in_progress")
ENDS = (
    "response.completed", "response.incomplete", "response.failed", "response.cancelled", "error",
)  # fmt: skip
FAILED = ("failed", "cancelled")
MOST_HELD = 2_000
"""Events of a commentary that are kept until it is known what it belongs to."""


@dataclass
class ResponseChunks:
    """The events of a streamed Response as chunks. `feed` takes an event's data; `over` is set
    after its last one."""

    origin: str
    over: bool = False
    _head: Json = field(default_factory=dict)
    _calls: dict[Place, int] = field(default_factory=dict)
    """Each call's item -> its number among the calls."""
    _streamed: set[tuple[Place, str]] = field(default_factory=set)
    """What has come in parts: the item and the kind of part."""
    _phases: dict[Place, str] = field(default_factory=dict)
    _said: set[str] = field(default_factory=set)
    """What the answer has so far: `content`, a `refusal`."""
    _befores: dict[str, int] = field(default_factory=dict)
    """Each reasoning item by its id -> how many of the answer's other items came before it."""
    _details: set[str] = field(default_factory=set)
    """The ids of those whose encrypted content has come."""
    _summary: tuple[Place, int] | None = None
    """The part of a summary that came last."""
    _commentaries: set[Place] = field(default_factory=set)
    """Those of which it is not known yet what they belong to."""
    _held: list[Json] = field(default_factory=list)
    """The events since the first of these began."""
    _asides: set[Place] = field(default_factory=set)
    """The commentaries that the answer itself follows."""

    def feed(self, event: Json) -> list[Json]:
        kind, item = text_of(event, "type"), object_of(event, "item")
        if kind == ADDED and is_commentary(item):
            self._commentaries.add(_place(event))
        if not self._commentaries:
            return self._translate(event)
        self._held.append(event)
        follows = kind == ADDED and decides(item)
        if not (follows or not kind or kind in ENDS or len(self._held) > MOST_HELD):
            return []
        if follows and item.get("type") == "message":
            self._asides |= self._commentaries
        held, self._held, self._commentaries = self._held, [], set()
        return [chunk for each in held for chunk in self._translate(each)]

    def _translate(self, event: Json) -> list[Json]:
        kind, place = text_of(event, "type"), _place(event)
        if kind in STARTS:
            return self._start(object_of(event, "response"))
        if kind == "error":
            found = object_of(event, "error") or {
                name: event.get(name) for name in ("code", "message", "param")
            }
            return [{"error": given(found)}]
        if kind in ENDS:
            return self._end(object_of(event, "response"), kind)
        delta = text_of(event, "delta")
        match kind.removeprefix("response."):
            case "output_item.added":
                return self._added(object_of(event, "item"), place)
            case "output_item.done":
                return self._done(object_of(event, "item"), place)
            case "output_text.delta":
                return self._text("content", delta, place, event.get("logprobs"))
            case "refusal.delta":
                return self._text("refusal", delta, place)
            case "reasoning_text.delta" | "reasoning_summary_text.delta":
                part = (place, count_of(event, "summary_index"))
                is_next = self._summary is not None and self._summary != part
                gap = GAP if is_next and (place, "thought") in self._streamed else ""
                self._summary = part
                return self._thought(gap + delta, place)
            case "function_call_arguments.delta":
                return self._arguments(delta, place)
        return [event] if "error" in event else []

    def _chunk(self, delta: Json, **more: Any) -> Json:
        choice = {"index": 0, "delta": delta, "finish_reason": None, **more}
        return {**self._head, "choices": [choice]}

    def _start(self, response: Json) -> list[Json]:
        if self._head:
            return []
        self._head = head_of(response, "chat.completion.chunk")
        return [self._chunk({"role": "assistant", "content": ""})]

    def _added(self, item: Json, place: Place) -> list[Json]:
        self._phases[place] = text_of(item, "phase")
        if item.get("type") != "function_call" or place in self._calls:
            return []
        number = self._calls[place] = len(self._calls)
        return [self._chunk({"tool_calls": [{"index": number, **call_of(item, "")}]})]

    def _done(self, item: Json, place: Place) -> list[Json]:
        """What did not come in parts is in the whole item."""
        kind, chunks = item.get("type"), self._added(item, place)
        if kind == "function_call" and (place, "arguments") not in self._streamed:
            chunks += self._arguments(text_of(item, "arguments"), place)
        elif kind == "message":
            for name, part in (("content", "text"), ("refusal", "refusal")):
                came = {(place, name), (place, "thought")} & self._streamed
                chunks += [] if came else self._text(name, message_text(item, part), place)
        elif kind == "reasoning":
            if (place, "thought") not in self._streamed:
                chunks += self._thought(GAP.join(thoughts_in(item)), place)
            self._befores.setdefault(text_of(item, "id"), bool(self._said) + len(self._calls))
            chunks += self._detail(item)
        return chunks

    def _detail(self, item: Json) -> list[Json]:
        identity = text_of(item, "id")
        if identity in self._details or identity not in self._befores:
            return []
        number, before = len(self._details), self._befores[identity]
        detail = detail_of(item, number, before, self.origin)
        if detail is None:
            return []
        self._details.add(identity)
        return [self._chunk({DETAILS: [detail]})]

    def _text(self, name: str, text: str, place: Place, logprobs: Any = None) -> list[Json]:
        if not text:
            return []
        if place in self._asides:
            return self._thought(text, place)
        delta = {name: text}
        if (place, name) not in self._streamed and name in self._said:
            delta[name] = GAP + text
        if not self._said and self._phases.get(place):
            delta["phase"] = self._phases[place]
        self._streamed.add((place, name))
        self._said.add(name)
        more = {"logprobs": {"content": logprobs}} if logprobs else {}
        return [self._chunk(delta, **more)]

    def _thought(self, text: str, place: Place) -> list[Json]:
        if not text:
            return []
        self._streamed.add((place, "thought"))
        return [self._chunk({"reasoning_content": text})]

    def _arguments(self, text: str, place: Place) -> list[Json]:
        number = self._calls.get(place)
        if not text or number is None:
            return []
        self._streamed.add((place, "arguments"))
        call = {"index": number, "function": {"arguments": text}}
        return [self._chunk({"tool_calls": [call]})]

    def _end(self, response: Json, kind: str) -> list[Json]:
        usage = usage_from_responses(object_of(response, "usage"))
        if kind.removeprefix("response.") in FAILED or response.get("status") in FAILED:
            billing = {**billing_of(response), **given({"usage": usage or None})}
            if object_of(response, "error"):
                return [{**error_of(response), **billing}]
            # Azure says in another event why: its filter, for example.
            return [{**self._head, "choices": [], **billing}] if billing else []
        self.over = True
        chunks = self._start(response)
        has_come, items = bool(self._streamed or self._calls), items_in(response)
        self._asides |= set() if has_come else asides_in(items)
        for index, item in enumerate(items):
            # Azure sends a reasoning item's encrypted content only here; some send nothing before.
            chunks += self._detail(item) if has_come else self._done(item, index)
        ending = self._chunk({}, finish_reason=finish_of(response, self._calls))
        tail = [{**self._head, "choices": [], "usage": usage}] if usage else []
        return [*chunks, {**ending, **billing_of(response)}, *tail]


def _place(event: Json) -> Place:
    index = event.get("output_index")
    if isinstance(index, int):
        return index
    return text_of(event, "item_id") or text_of(object_of(event, "item"), "id")
