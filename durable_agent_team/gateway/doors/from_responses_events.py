"""The events of a streamed answer of an upstream that speaks OpenAI's Responses as a chat's chunks.

Events: OpenAI's reference, "Streaming events". Unknown ones are left out: new ones keep coming, and
an answer's text, calls and reasoning are in those known here.
"""

from dataclasses import dataclass, field
from typing import Any

from durable_agent_team.gateway.doors.chat_answer import GAP, count_of, object_of, text_of
from durable_agent_team.gateway.doors.commentaries import (
    AsideFilter,
    Place,
    event_kind,
    place_of,
    without_asides,
)
from durable_agent_team.gateway.doors.fields import Json, given
from durable_agent_team.gateway.doors.from_responses_answer import (
    arguments_of,
    billing_of,
    call_of,
    error_of,
    finish_of,
    head_of,
    items_in,
    message_text,
    thoughts_in,
    usage_from_responses,
)
from durable_agent_team.gateway.doors.reasoning_details import DETAILS, detail_of

CONTENT, REFUSAL, THOUGHT = "content", "refusal", "reasoning_content"
"""The texts of a chat's delta."""
ARGUMENTS = "arguments"
FAILED = {"failed", "cancelled"}


@dataclass
class ResponseChunks:
    """The events of a streamed Response as chunks. `feed` takes an event's data; `over` is set
    after its last one.

    Servers differ in what they send: every item in deltas, whole items only, or nothing before the
    last event, which has the whole Response. What has come already is not taken from an item again.
    """

    origin: str
    over: bool = False
    _filter: AsideFilter = field(default_factory=AsideFilter)
    _head: Json = field(default_factory=dict)
    _calls: dict[Place, int] = field(default_factory=dict)
    """Each call's item -> its number among the calls."""
    _phases: dict[Place, str] = field(default_factory=dict)
    _came: set[tuple[Place, str]] = field(default_factory=set)
    """The items of which a text, or the arguments of a call, have come."""
    _last_parts: dict[str, tuple[Place, int]] = field(default_factory=dict)
    """For each text that the answer has so far: the item and the part of it that came last."""
    _items_before: dict[str, int] = field(default_factory=dict)
    """Each reasoning item's id -> how many of the answer's other items came before it."""
    _details: set[str] = field(default_factory=set)
    """The ids of reasoning items whose encrypted content has come."""

    def feed(self, event: Json) -> list[Json]:
        return [chunk for each in self._filter.feed(event) for chunk in self._translate(each)]

    def _translate(self, event: Json) -> list[Json]:
        kind, place, delta = event_kind(event), place_of(event), text_of(event, "delta")
        match kind:
            case "created" | "queued" | "in_progress":
                return self._start(object_of(event, "response"))
            case "output_item.added":
                return self._begin_item(object_of(event, "item"), place)
            case "output_item.done":
                return self._end_item(object_of(event, "item"), place)
            case "output_text.delta":
                logprobs = event.get("logprobs")
                more: Json = {"logprobs": {"content": logprobs}} if logprobs else {}
                return self._text(CONTENT, delta, place, **more)
            case "refusal.delta":
                return self._text(REFUSAL, delta, place)
            case "reasoning_text.delta" | "reasoning_summary_text.delta":
                return self._text(THOUGHT, delta, place, count_of(event, "summary_index"))
            case "function_call_arguments.delta":
                return self._arguments(delta, place)
            case "function_call_arguments.done" if (place, ARGUMENTS) not in self._came:
                return self._arguments(arguments_of(event), place)
            case "output_text.done" if (place, CONTENT) not in self._came:
                begun = place in self._phases  # else the whole item is still to come
                return self._text(CONTENT, text_of(event, "text"), place) if begun else []
            case "completed" | "incomplete" | "failed" | "cancelled" | "done":
                return self._end(object_of(event, "response"), kind)
            case "error":
                fields = {name: event.get(name) for name in ("code", "message", "param")}
                return [{"error": given(object_of(event, "error") or fields)}]
        return [event] if "error" in event else []

    def _chunk(self, delta: Json, **more: Any) -> Json:
        choice = {"index": 0, "delta": delta, "finish_reason": None, **more}
        return {**self._head, "choices": [choice]}

    def _start(self, response: Json) -> list[Json]:
        if self._head:
            return []
        self._head = head_of(response, "chat.completion.chunk")
        return [self._chunk({"role": "assistant", "content": ""})]

    def _begin_item(self, item: Json, place: Place) -> list[Json]:
        self._phases[place] = text_of(item, "phase")
        if item.get("type") != "function_call" or place in self._calls:
            return []
        number = self._calls[place] = len(self._calls)
        return [self._chunk({"tool_calls": [{"index": number, **call_of(item, "")}]})]

    def _end_item(self, item: Json, place: Place) -> list[Json]:
        """What did not come in deltas is in the whole item."""
        chunks = self._begin_item(item, place)
        match item.get("type"):
            case "function_call" if (place, ARGUMENTS) not in self._came:
                chunks += self._arguments(arguments_of(item), place)
            case "message":
                for name, kind in ((CONTENT, "text"), (REFUSAL, "refusal")):
                    if (place, name) not in self._came:
                        chunks += self._text(name, message_text(item, kind), place)
            case "reasoning":
                if (place, THOUGHT) not in self._came:
                    chunks += self._text(THOUGHT, GAP.join(thoughts_in(item)), place)
                before = self._has_words() + len(self._calls)
                self._items_before.setdefault(text_of(item, "id"), before)
                chunks += self._detail(item)
        return chunks

    def _has_words(self) -> bool:
        return CONTENT in self._last_parts or REFUSAL in self._last_parts

    def _text(self, name: str, text: str, place: Place, part: int = 0, **more: Any) -> list[Json]:
        if not text:
            return []
        last = self._last_parts.get(name, (place, part))
        delta = {name: text if last == (place, part) else GAP + text}
        if name != THOUGHT and not self._has_words() and self._phases.get(place):
            delta["phase"] = self._phases[place]
        self._last_parts[name] = (place, part)
        self._came.add((place, name))
        return [self._chunk(delta, **more)]

    def _arguments(self, text: str, place: Place) -> list[Json]:
        number = self._calls.get(place)
        if not text or number is None:
            return []
        self._came.add((place, ARGUMENTS))
        call = {"index": number, "function": {"arguments": text}}
        return [self._chunk({"tool_calls": [call]})]

    def _detail(self, item: Json) -> list[Json]:
        """The reasoning to bring back, once for each item, in the place where the item stood."""
        identity = text_of(item, "id")
        if identity in self._details or identity not in self._items_before:
            return []
        before = self._items_before[identity]
        detail = detail_of(item, len(self._details), before, self.origin)
        if detail is None:
            return []
        self._details.add(identity)
        return [self._chunk({DETAILS: [detail]})]

    def _end(self, response: Json, kind: str) -> list[Json]:
        if FAILED & {kind, text_of(response, "status")}:
            return self._fail(response)
        self.over = True
        chunks = self._start(response)
        has_come = bool(self._came or self._calls)
        for index, item in enumerate(without_asides(items_in(response))):
            # Azure sends a reasoning item's encrypted content only here; some send nothing before.
            chunks += self._detail(item) if has_come else self._end_item(item, index)
        ending = self._chunk({}, finish_reason=finish_of(response, self._calls))
        chunks.append({**ending, **billing_of(response)})
        if usage := usage_from_responses(object_of(response, "usage")):
            chunks.append({**self._head, "choices": [], "usage": usage})
        return chunks

    def _fail(self, response: Json) -> list[Json]:
        usage = usage_from_responses(object_of(response, "usage")) or None
        billing = {**billing_of(response), **given({"usage": usage})}
        if object_of(response, "error"):
            return [{**error_of(response), **billing}]
        # Azure says in another event why: its filter, for example.
        return [{**self._head, "choices": [], **billing}] if billing else []
