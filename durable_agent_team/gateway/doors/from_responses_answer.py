"""A whole answer of an upstream that speaks OpenAI's Responses as a chat answer.

A model's reasoning that must come back is kept beside the answer (`reasoning_details`), and so is
what OpenAI calls a message (`phase`). `origin` names the model that answers.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from durable_agent_team.gateway.doors.chat_answer import GAP, count_of, object_of, text_of
from durable_agent_team.gateway.doors.commentaries import without_asides
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


def chat_from_response(response: Json, origin: str) -> Json:
    """What is no Response, such as an error, is returned as it is."""
    if not is_response(response):
        return response
    usage = given({"usage": usage_from_responses(object_of(response, "usage")) or None})
    if object_of(response, "error") or text_of(response, "status") not in (*ENDED, ""):
        return {**error_of(response), **billing_of(response), **usage}
    said = _Said(origin)
    for item in without_asides(items_in(response)):
        said.add(item)
    said.texts += [] if said.has_answer else [text_of(response, "output_text")]
    choice = {
        "index": 0,
        "message": said.message(),
        "finish_reason": finish_of(response, said.calls),
    }
    if said.logprobs:
        choice["logprobs"] = {"content": said.logprobs}
    head = {**head_of(response, "chat.completion"), **billing_of(response)}
    return {**head, "choices": [choice], **usage}


def is_response(data: Json) -> bool:
    return data.get("object") == "response" and ("status" in data or "output" in data)


def items_in(response: Json) -> list[Json]:
    output = response.get("output")
    return [each for each in output if isinstance(each, dict)] if isinstance(output, list) else []


def _parts(item: Json) -> list[Json]:
    """Some servers have a text instead of its part."""
    content = item.get("content")
    if isinstance(content, str):
        return [{"type": "output_text", "text": content}]
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

    def add(self, item: Json) -> None:
        kind = item.get("type")
        if kind == "function_call":
            self.calls.append(call_of(item, arguments_of(item)))
        elif kind == "reasoning":
            self.thoughts += thoughts_in(item)
            before = bool(self.texts or self.refusals) + len(self.calls)
            if detail := detail_of(item, len(self.details), before, self.origin):
                self.details.append(detail)
        elif kind == "message":
            self.texts += [text] if (text := message_text(item, "text")) else []
            self.refusals += [text] if (text := message_text(item, "refusal")) else []
            self.phase = self.phase or text_of(item, "phase")
            for part in _parts(item):
                found = part.get("logprobs")
                self.logprobs += found if isinstance(found, list) else []

    @property
    def has_answer(self) -> bool:
        return bool(self.texts or self.calls or self.refusals)

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


def thoughts_in(item: Json) -> list[str]:
    """The reasoning itself where a server shows it, else its summary."""
    texts = [text_of(part, "text") for part in _parts(item)]
    return [each for each in texts if each] or summary_texts(item)


def head_of(response: Json, kind: str) -> Json:
    known = {name: response.get(name) for name in ("id", "model")}
    return {**given(known), "object": kind, "created": count_of(response, "created_at")}


def billing_of(response: Json) -> Json:
    return given({name: response.get(name) for name in BILLING})


def arguments_of(item: Json) -> str:
    """Some servers have them as an object."""
    given = item.get("arguments")
    if isinstance(given, dict):
        return json.dumps(given, ensure_ascii=False)
    return text_of(item, "arguments")


def call_of(item: Json, arguments: str) -> Json:
    function = {"name": text_of(item, "name"), "arguments": arguments}
    return {"id": text_of(item, "call_id"), "type": "function", "function": function}


def finish_of(response: Json, calls: Any) -> str:
    if response.get("status") == "incomplete":
        reason = text_of(object_of(response, "incomplete_details"), "reason")
        return INCOMPLETE.get(reason, "length")
    return "tool_calls" if calls else "stop"


def error_of(response: Json) -> Json:
    """The error of a Response that failed or was not finished."""
    found = object_of(response, "error")
    status = text_of(response, "status")
    message = text_of(found, "message") or f"the Response ended with the status {status!r}"
    return {"error": {**found, "message": message}}


def usage_from_responses(usage: Json) -> Json:
    """In a chat's spelling, with whatever else it tells. Empty if there is none."""
    return {CHAT_NAMES.get(name, name): value for name, value in usage.items()}
