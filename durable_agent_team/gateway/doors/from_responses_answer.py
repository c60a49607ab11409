"""An answer of an upstream that speaks OpenAI's Responses as a chat answer, whole or streamed.

A model's reasoning that must come back is kept beside the answer (`reasoning_details`), and so is
what OpenAI calls a message (`phase`). `origin` names the model that answers.
"""

from dataclasses import dataclass, field
from typing import Any

from durable_agent_team.gateway.doors.chat_answer import count_of, object_of, text_of
from durable_agent_team.gateway.doors.fields import Json, given
from durable_agent_team.gateway.doors.reasoning_details import DETAILS, detail_of, summary_texts

INCOMPLETE = {"max_output_tokens": "length", "content_filter": "content_filter"}
"""By `incomplete_details.reason`; of any other, the answer is not whole either."""
ENDED = ("completed", "incomplete")
BILLING = ("service_tier", "cost", "cost_usd", "_meta")
"""What tells the price of an answer, beside its usage. The tier at its end is the one that served
it, the one at its start the one that was asked for."""
CHAT_NAMES = {
    "input_tokens": "prompt_tokens",
    "input_tokens_details": "prompt_tokens_details",
    "output_tokens": "completion_tokens",
    "output_tokens_details": "completion_tokens_details",
}
COMMENTARY = "commentary"
"""The `phase` of what a model says on its way, before it calls a tool or gives its answer."""
GAP = "\n\n"
"""Between two messages of an answer, or two parts of a summary."""


def chat_from_response(response: Json, origin: str) -> Json:
    """What is no Response, such as an error, is returned as it is."""
    if not is_response(response):
        return response
    usage = given({"usage": usage_from_responses(object_of(response, "usage")) or None})
    if text_of(response, "status") not in ENDED:
        return {**_error(response), **_billing(response), **usage}
    said = _Said(origin)
    items = _items(response)
    for number, item in enumerate(items):
        said.add(item, aside=_is_aside(item, items[number + 1 :]))
    choice = {"index": 0, "message": said.message(), "finish_reason": _finish(response, said.calls)}
    if said.logprobs:
        choice["logprobs"] = {"content": said.logprobs}
    head = {**_head(response, "chat.completion"), **_billing(response)}
    return {**head, "choices": [choice], **usage}


def _is_aside(item: Json, later: list[Json]) -> bool:
    """Whether it is a commentary that the answer itself follows: not a part of that, which may be
    JSON."""
    following = next((each for each in later if _decides(each)), {})
    return _is_commentary(item) and following.get("type") == "message"


def _is_commentary(item: Json) -> bool:
    return item.get("type") == "message" and item.get("phase") == COMMENTARY


def _decides(item: Json) -> bool:
    """Whether it says what a commentary before it belongs to."""
    return item.get("type") in ("message", "function_call") and not _is_commentary(item)


def is_response(data: Json) -> bool:
    return data.get("object") == "response" and "status" in data


def _items(response: Json) -> list[Json]:
    output = response.get("output")
    return [each for each in output if isinstance(each, dict)] if isinstance(output, list) else []


def _parts(item: Json) -> list[Json]:
    content = item.get("content")
    return [each for each in content if isinstance(each, dict)] if isinstance(content, list) else []


@dataclass
class _Said:
    """The items of a whole Response."""

    origin: str
    texts: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    calls: list[Json] = field(default_factory=list)
    details: list[Json] = field(default_factory=list)
    logprobs: list[Any] = field(default_factory=list)
    phase: str = ""

    def add(self, item: Json, *, aside: bool = False) -> None:
        kind = item.get("type")
        if kind == "function_call":
            self.calls.append(_call(item, text_of(item, "arguments")))
        elif kind == "reasoning":
            self.thoughts += _thoughts(item)
            before = bool(self.texts or self.refusals) + len(self.calls)
            if detail := detail_of(item, len(self.details), before, self.origin):
                self.details.append(detail)
        elif kind == "message" and aside:
            self.thoughts.append(message_text(item, "text"))
        elif kind == "message":
            self.texts += [text] if (text := message_text(item, "text")) else []
            self.refusals += [text] if (text := message_text(item, "refusal")) else []
            self.phase = self.phase or text_of(item, "phase")
            for part in _parts(item):
                found = part.get("logprobs")
                self.logprobs += found if isinstance(found, list) else []

    def message(self) -> Json:
        content = GAP.join(self.texts) if self.texts or not (self.calls or self.refusals) else None
        more = {
            "tool_calls": self.calls or None,
            "refusal": GAP.join(self.refusals) or None,
            "reasoning_content": GAP.join(self.thoughts) or None,
            DETAILS: self.details or None,
            "phase": self.phase or None,
        }
        return {"role": "assistant", "content": content, **given(more)}


def message_text(item: Json, kind: str) -> str:
    return "".join(text_of(part, kind) for part in _parts(item))


def _thoughts(item: Json) -> list[str]:
    """The reasoning itself where a server shows it, else its summary."""
    texts = [text_of(part, "text") for part in _parts(item)]
    return [each for each in texts if each] or summary_texts(item)


def _head(response: Json, kind: str) -> Json:
    known = {name: response.get(name) for name in ("id", "model")}
    return {**given(known), "object": kind, "created": count_of(response, "created_at")}


def _billing(response: Json) -> Json:
    return given({name: response.get(name) for name in BILLING})


def _call(item: Json, arguments: str) -> Json:
    function = {"name": text_of(item, "name"), "arguments": arguments}
    return {"id": text_of(item, "call_id"), "type": "function", "function": function}


def _finish(response: Json, calls: Any) -> str:
    if response.get("status") == "incomplete":
        reason = text_of(object_of(response, "incomplete_details"), "reason")
        return INCOMPLETE.get(reason, "length")
    return "tool_calls" if calls else "stop"


def _error(response: Json) -> Json:
    """Of a Response that failed, or that nobody finished."""
    found = object_of(response, "error")
    status = text_of(response, "status")
    message = text_of(found, "message") or f"the Response ended with the status {status!r}"
    return {"error": {**found, "message": message}}


def usage_from_responses(usage: Json) -> Json:
    """In a chat's spelling, with whatever else it tells. Empty if there is none."""
    return {CHAT_NAMES.get(name, name): value for name, value in usage.items()}


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
    _has_text: bool = False
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
        if kind == ADDED and _is_commentary(item):
            self._commentaries.add(_place(event))
        if not self._commentaries:
            return self._translate(event)
        self._held.append(event)
        decides = kind == ADDED and _decides(item)
        if not (decides or not kind or kind in ENDS or len(self._held) > MOST_HELD):
            return []
        if decides and item.get("type") == "message":
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
        self._head = _head(response, "chat.completion.chunk")
        return [self._chunk({"role": "assistant", "content": ""})]

    def _added(self, item: Json, place: Place) -> list[Json]:
        self._phases[place] = text_of(item, "phase")
        if item.get("type") != "function_call" or place in self._calls:
            return []
        number = self._calls[place] = len(self._calls)
        return [self._chunk({"tool_calls": [{"index": number, **_call(item, "")}]})]

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
                chunks += self._thought(GAP.join(_thoughts(item)), place)
            self._befores.setdefault(text_of(item, "id"), self._has_text + len(self._calls))
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
        if (place, name) not in self._streamed and any(each == name for _, each in self._streamed):
            delta[name] = GAP + text
        if not self._has_text and self._phases.get(place):
            delta["phase"] = self._phases[place]
        self._streamed.add((place, name))
        self._has_text = True
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
            billing = {**_billing(response), **given({"usage": usage or None})}
            if object_of(response, "error"):
                return [{**_error(response), **billing}]
            # Azure says in another event why: its filter, for example.
            return [{**self._head, "choices": [], **billing}] if billing else []
        self.over = True
        chunks = self._start(response)
        has_come = bool(self._streamed or self._calls)
        for index, item in enumerate(_items(response)):
            # Azure sends a reasoning item's encrypted content only here; some send nothing before.
            chunks += self._detail(item) if has_come else self._done(item, index)
        ending = self._chunk({}, finish_reason=_finish(response, self._calls))
        tail = [{**self._head, "choices": [], "usage": usage}] if usage else []
        return [*chunks, {**ending, **_billing(response)}, *tail]


def _place(event: Json) -> Place:
    index = event.get("output_index")
    if isinstance(index, int):
        return index
    return text_of(event, "item_id") or text_of(object_of(event, "item"), "id")
