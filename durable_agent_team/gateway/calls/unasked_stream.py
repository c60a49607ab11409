"""An answer that came as a stream of events though none was asked for, as the whole answer it is.

Some resellers' servers always stream. Their answer was made and billed, and can be read.
"""

import re
from dataclasses import dataclass, field
from typing import Any

from durable_agent_team.gateway.calls.charge import ReportedUsage
from durable_agent_team.gateway.calls.sse import BOM, DONE, EventParser, apart
from durable_agent_team.gateway.calls.upstream_json import upstream_object
from durable_agent_team.gateway.json_bodies import dump

EVENTS = re.compile(rb"(\xef\xbb\xbf)?\s*(data|event|id|retry)?:")
TEXTS = ("content", "reasoning_content", "reasoning", "refusal")
HEAD = ("id", "model", "created", "system_fingerprint", "service_tier")


def begins_as_json(piece: bytes) -> bool:
    """Whether what should be events is a whole answer, or an error."""
    return piece.removeprefix(BOM).lstrip()[:1] in (b"{", b"[")


def whole_answer(raw: bytes) -> bytes:
    """`raw` as a whole answer; as it is where it is none of events, or they have no end."""
    if not EVENTS.match(raw):
        return raw
    parser, answer = EventParser(), _Answer()
    events = [part for each in (*parser.feed(raw), *parser.finish()) for part in apart(each)]
    done = any(each.data.strip() == DONE for each in events)
    for each in events:
        if (chunk := upstream_object(each.data)) is not None:
            answer.add(chunk)
    return dump(answer.whole) if answer.is_over or (done and answer.has_choice) else raw


@dataclass
class _Answer:
    head: dict[str, Any] = field(default_factory=dict)
    message: dict[str, Any] = field(default_factory=lambda: {"role": "assistant", "content": None})
    calls: dict[Any, dict[str, Any]] = field(default_factory=dict)
    finish: Any = None
    has_choice: bool = False
    error: Any = None
    reported: ReportedUsage = field(default_factory=ReportedUsage)

    @property
    def is_over(self) -> bool:
        return bool(self.finish or self.error)

    @property
    def whole(self) -> dict[str, Any]:
        calls = {"tool_calls": list(self.calls.values())} if self.calls else {}
        choice = {"index": 0, "message": {**self.message, **calls}, "finish_reason": self.finish}
        return {
            **self.head,
            "object": "chat.completion",
            **({"choices": [choice]} if self.has_choice else {}),
            **({"error": self.error} if self.error else {}),
            **self.reported.fields,
        }

    def add(self, chunk: dict[str, Any]) -> None:
        self.reported.add(chunk)
        for name in HEAD:
            if chunk.get(name):
                self.head[name] = chunk[name]
        self.error = self.error or chunk.get("error")
        choices = chunk.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        if isinstance(choice, dict):
            self.has_choice = True
            self.finish = choice.get("finish_reason") or self.finish
            self.error = self.error or choice.get("error")
            delta = choice.get("delta")
            if isinstance(delta, dict):
                self._add_delta(delta)

    def _add_delta(self, delta: dict[str, Any]) -> None:
        for name in TEXTS:
            if isinstance(text := delta.get(name), str):
                self.message[name] = (self.message.get(name) or "") + text
        calls = delta.get("tool_calls")
        for number, part in enumerate(calls if isinstance(calls, list) else []):
            if isinstance(part, dict):
                self._add_call(part.get("index", number), part)

    def _add_call(self, index: Any, part: dict[str, Any]) -> None:
        place = index if isinstance(index, int) else 0
        call = self.calls.setdefault(place, {"type": "function", "function": {"arguments": ""}})
        if part.get("id"):
            call["id"] = part["id"]
        function = part.get("function")
        if isinstance(function, dict):
            if isinstance(function.get("name"), str):
                call["function"]["name"] = function["name"]
            if isinstance(function.get("arguments"), str):
                call["function"]["arguments"] += function["arguments"]
