"""An answer that came as a stream of events though none was asked for, as the whole answer it is.

Some resellers' servers always stream. Their answer was made and billed, and can be read.
"""

import re
from dataclasses import dataclass, field
from typing import Any

from durable_agent_team.gateway.calls.answer_shapes import usual_chunk
from durable_agent_team.gateway.calls.charge import ReportedUsage
from durable_agent_team.gateway.calls.sse import BOM, DONE, EventParser, apart
from durable_agent_team.gateway.calls.tool_call_ids import CallPlaces
from durable_agent_team.gateway.calls.upstream_json import upstream_object
from durable_agent_team.gateway.doors.chat_answer import content_text, object_of
from durable_agent_team.gateway.doors.reasoning_details import DETAILS, joined_details
from durable_agent_team.gateway.doors.thinking import BLOCKS, merged, valid_blocks
from durable_agent_team.gateway.json_bodies import dump

EVENTS = re.compile(rb"(\xef\xbb\xbf)?\s*(data|event|id|retry)?:")
TEXTS = ("content", "reasoning_content", "reasoning", "refusal")
ENDING = ("native_finish_reason", "stop_sequence")
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
        chunk = upstream_object(each.data)
        if each.name == b"error" and not (chunk or {}).get("error"):
            answer.error = answer.error or chunk or each.data.decode(errors="replace")
        elif chunk is not None:
            answer.add(chunk)
    return dump(answer.whole) if answer.is_over or (done and answer.has_choice) else raw


@dataclass
class _Call:
    """One of tools, or a function by its older name."""

    identity: Any = None
    name: str = ""
    arguments: list[str] = field(default_factory=list)

    def add(self, function: Any) -> None:
        if isinstance(function, dict):
            if isinstance(name := function.get("name"), str) and name:
                self.name = name
            if isinstance(text := function.get("arguments"), str):
                self.arguments.append(text)

    @property
    def function(self) -> dict[str, Any]:
        named = {"name": self.name} if self.name else {}
        return {"arguments": "".join(self.arguments), **named}

    @property
    def whole(self) -> dict[str, Any]:
        identity = {"id": self.identity} if self.identity else {}
        return {"type": "function", "function": self.function, **identity}


@dataclass
class _Answer:
    """Texts are kept in parts until the end, so that many short ones take linear time."""

    head: dict[str, Any] = field(default_factory=dict)
    texts: dict[str, list[str]] = field(default_factory=dict)
    function: _Call | None = None
    calls: dict[int, _Call] = field(default_factory=dict)
    places: CallPlaces = field(default_factory=CallPlaces)
    blocks: list[dict[str, Any]] = field(default_factory=list)
    details: list[Any] = field(default_factory=list)
    ending: dict[str, Any] = field(default_factory=dict)
    finish: Any = None
    has_choice: bool = False
    error: Any = None
    reported: ReportedUsage = field(default_factory=ReportedUsage)

    @property
    def is_over(self) -> bool:
        return bool(self.finish or self.error)

    @property
    def whole(self) -> dict[str, Any]:
        broke_off = "error" if self.error and not self.finish else None
        finish = self.finish or broke_off
        choice = {"index": 0, "message": self.message, "finish_reason": finish, **self.ending}
        return {
            **self.head,
            "object": "chat.completion",
            **({"choices": [choice]} if self.has_choice else {}),
            **({"error": self.error} if self.error else {}),
            **self.reported.fields,
        }

    @property
    def message(self) -> dict[str, Any]:
        texts = {name: "".join(parts) for name, parts in self.texts.items()}
        more: dict[str, Any] = {
            "function_call": self.function.function if self.function else None,
            "tool_calls": [each.whole for each in self.calls.values()],
            BLOCKS: merged(self.blocks),
            DETAILS: joined_details(self.details),
        }
        said = {name: each for name, each in more.items() if each}
        return {"role": "assistant", "content": None, **texts, **said}

    def add(self, chunk: dict[str, Any]) -> None:
        self.reported.add(chunk)
        for name in HEAD:
            if chunk.get(name):
                self.head[name] = chunk[name]
        self.error = self.error or chunk.get("error") or object_of(chunk, "x_groq").get("error")
        choices = chunk.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        if isinstance(choice, dict):
            usual_chunk([choice], functions=True)
            self.has_choice = True
            self.finish = choice.get("finish_reason") or self.finish
            self.error = self.error or choice.get("error")
            self.ending |= {name: choice[name] for name in ENDING if choice.get(name)}
            delta = choice.get("delta")
            if isinstance(delta, dict):
                self._add_delta(delta)

    def _add_delta(self, delta: dict[str, Any]) -> None:
        for name in TEXTS:
            if isinstance(text := delta.get(name), str):
                self._add_text(name, text)
        if isinstance(parts := delta.get("content"), list):  # Mistral's
            self._add_text("content", content_text(delta))
            self._add_text("reasoning_content", "".join(map(_thought, parts)))
        self.blocks += valid_blocks(delta.get(BLOCKS))
        details = delta.get(DETAILS)
        self.details += details if isinstance(details, list) else []
        if isinstance(called := delta.get("function_call"), dict):
            self.function = self.function or _Call()
            self.function.add(called)
        calls = delta.get("tool_calls")
        for part in calls if isinstance(calls, list) else []:
            if isinstance(part, dict):
                place, _ = self.places.place(part)
                call = self.calls.setdefault(place, _Call())
                call.identity = call.identity or part.get("id")
                call.add(part.get("function"))

    def _add_text(self, name: str, text: str) -> None:
        if text or name == "content":
            self.texts.setdefault(name, []).append(text)


def _thought(part: Any) -> str:
    """The text of a part of type `thinking`, whose thinking is a list of parts."""
    inner = part.get("thinking") if isinstance(part, dict) else None
    return content_text({"content": inner}) if isinstance(inner, list) else ""
