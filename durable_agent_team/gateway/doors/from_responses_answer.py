"""An answer of an upstream that speaks OpenAI's Responses as a chat answer, whole or streamed.

A model's reasoning that must come back is kept beside the answer (`reasoning_details`).
"""

from dataclasses import dataclass, field
from typing import Any

from durable_agent_team.gateway.doors.chat_answer import count_of, object_of, text_of
from durable_agent_team.gateway.doors.fields import Json, given
from durable_agent_team.gateway.doors.reasoning_details import DETAILS, detail_of, summary_texts

INCOMPLETE = {"max_output_tokens": "length", "content_filter": "content_filter"}
"""By `incomplete_details.reason`; of any other, the answer is not whole either."""
ENDED = ("completed", "incomplete")


def chat_from_response(response: Json) -> Json:
    """What is no Response, such as an error, is returned as it is."""
    if not is_response(response):
        return response
    usage = given({"usage": usage_from_responses(object_of(response, "usage")) or None})
    if text_of(response, "status") not in ENDED:
        return {**_error(response), **usage}
    said = _Said()
    for item in _items(response):
        said.add(item)
    choice = {"index": 0, "message": said.message(), "finish_reason": _finish(response, said.calls)}
    if said.logprobs:
        choice["logprobs"] = {"content": said.logprobs}
    return {**_head(response, "chat.completion"), "choices": [choice], **usage}


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

    texts: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    calls: list[Json] = field(default_factory=list)
    details: list[Json] = field(default_factory=list)
    logprobs: list[Any] = field(default_factory=list)

    def add(self, item: Json) -> None:
        kind = item.get("type")
        if kind == "function_call":
            self.calls.append(_call(item, text_of(item, "arguments")))
        elif kind == "reasoning":
            self.thoughts += _thoughts(item)
            before = bool(self.texts or self.refusals) + len(self.calls)
            if detail := detail_of(item, len(self.details), before):
                self.details.append(detail)
        elif kind == "message":
            for part in _parts(item):
                self.texts += [text] if (text := text_of(part, "text")) else []
                self.refusals += [text] if (text := text_of(part, "refusal")) else []
                found = part.get("logprobs")
                self.logprobs += found if isinstance(found, list) else []

    def message(self) -> Json:
        content = "".join(self.texts) if self.texts or not (self.calls or self.refusals) else None
        more = {
            "tool_calls": self.calls or None,
            "refusal": "".join(self.refusals) or None,
            "reasoning_content": "\n\n".join(self.thoughts) or None,
            DETAILS: self.details or None,
        }
        return {"role": "assistant", "content": content, **given(more)}


def _thoughts(item: Json) -> list[str]:
    """The reasoning itself where a server shows it, else its summary."""
    texts = [text_of(part, "text") for part in _parts(item)]
    return [each for each in texts if each] or summary_texts(item)


def _head(response: Json, kind: str) -> Json:
    known = {name: response.get(name) for name in ("id", "model", "service_tier")}
    return {**given(known), "object": kind, "created": count_of(response, "created_at")}


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
    """In a chat's spelling. Empty if there is none."""
    if not usage:
        return {}
    prompt, completion = count_of(usage, "input_tokens"), count_of(usage, "output_tokens")
    read = object_of(usage, "input_tokens_details")
    written = object_of(usage, "output_tokens_details")
    details = {"cached_tokens": count_of(read, "cached_tokens")}
    if cached := count_of(read, "cache_write_tokens"):
        details["cache_write_tokens"] = cached
    thought = count_of(written, "reasoning_tokens")
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": count_of(usage, "total_tokens") or prompt + completion,
        "prompt_tokens_details": details,
        **({"completion_tokens_details": {"reasoning_tokens": thought}} if thought else {}),
        **given({name: usage.get(name) for name in ("cost",)}),
    }


@dataclass
class ResponseChunks:
    """The events of a streamed Response as chunks. `feed` takes an event's data; `over` is set
    after its last one."""

    over: bool = False
    _head: Json = field(default_factory=dict)
    _calls: dict[int, int] = field(default_factory=dict)
    """The index of each call's item in the output -> its number among the calls."""
    _streamed: set[tuple[int, str]] = field(default_factory=set)
    """What has come in parts: the item's index and the kind of part."""
    _has_text: bool = False
    _details: int = 0

    def feed(self, event: Json) -> list[Json]:
        kind, index = text_of(event, "type"), count_of(event, "output_index")
        match kind:
            case "response.created":
                self._head = _head(object_of(event, "response"), "chat.completion.chunk")
                return [self._chunk({"role": "assistant", "content": ""})]
            case "response.output_item.added":
                return self._added(object_of(event, "item"), index)
            case "response.output_item.done":
                return self._done(object_of(event, "item"), index)
            case "response.output_text.delta":
                return self._text("content", text_of(event, "delta"), index, event)
            case "response.refusal.delta":
                return self._text("refusal", text_of(event, "delta"), index)
            case "response.reasoning_text.delta" | "response.reasoning_summary_text.delta":
                return self._thought(text_of(event, "delta"), index)
            case "response.function_call_arguments.delta":
                return self._arguments(text_of(event, "delta"), index)
            case "response.completed" | "response.incomplete":
                return self._end(object_of(event, "response"))
            case "response.failed" | "response.cancelled":
                response = object_of(event, "response")
                usage = usage_from_responses(object_of(response, "usage"))
                return [{**_error(response), **given({"usage": usage or None})}]
            case "error":
                found = object_of(event, "error") or {
                    name: event.get(name) for name in ("code", "message", "param")
                }
                return [{"error": given(found)}]
        return [event] if "error" in event else []

    def _chunk(self, delta: Json, **more: Any) -> Json:
        choice = {"index": 0, "delta": delta, "finish_reason": None, **more}
        return {**self._head, "choices": [choice]}

    def _added(self, item: Json, index: int) -> list[Json]:
        if item.get("type") != "function_call":
            return []
        number = self._calls.setdefault(index, len(self._calls))
        return [self._chunk({"tool_calls": [{"index": number, **_call(item, "")}]})]

    def _done(self, item: Json, index: int) -> list[Json]:
        """What did not come in parts is in the whole item."""
        kind = item.get("type")
        if kind == "function_call":
            started = [] if index in self._calls else self._added(item, index)
            whole = text_of(item, "arguments")
            rest = [] if (index, "arguments") in self._streamed else self._arguments(whole, index)
            return started + rest
        if kind == "message":
            said = _Said()
            said.add(item)
            texts = {"content": "".join(said.texts), "refusal": "".join(said.refusals)}
            chunks = [
                chunk
                for name, text in texts.items()
                if (index, name) not in self._streamed
                for chunk in self._text(name, text, index)
            ]
            return chunks
        if kind != "reasoning":
            return []
        chunks = []
        if (index, "thought") not in self._streamed:
            chunks = self._thought("\n\n".join(_thoughts(item)), index)
        detail = detail_of(item, self._details, self._has_text + len(self._calls))
        if detail is None:
            return chunks
        self._details += 1
        return [*chunks, self._chunk({DETAILS: [detail]})]

    def _text(self, name: str, text: str, index: int, event: Json | None = None) -> list[Json]:
        if not text:
            return []
        self._streamed.add((index, name))
        self._has_text = True
        logprobs = (event or {}).get("logprobs")
        more = {"logprobs": {"content": logprobs}} if logprobs else {}
        return [self._chunk({name: text}, **more)]

    def _thought(self, text: str, index: int) -> list[Json]:
        if not text:
            return []
        self._streamed.add((index, "thought"))
        return [self._chunk({"reasoning_content": text})]

    def _arguments(self, text: str, index: int) -> list[Json]:
        number = self._calls.get(index)
        if not text or number is None:
            return []
        self._streamed.add((index, "arguments"))
        call = {"index": number, "function": {"arguments": text}}
        return [self._chunk({"tool_calls": [call]})]

    def _end(self, response: Json) -> list[Json]:
        self.over = True
        ending = self._chunk({})
        ending["choices"][0]["finish_reason"] = _finish(response, self._calls)
        usage = usage_from_responses(object_of(response, "usage"))
        tail = [{**self._head, "choices": [], "usage": usage}] if usage else []
        return [ending, *tail]
