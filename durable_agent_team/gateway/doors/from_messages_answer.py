"""An answer of an upstream that speaks Anthropic's Messages as a chat answer, whole or streamed.

Nothing is lost for a client of `/v1/messages`: what a chat answer has no place for is kept beside
it (`thinking_blocks`, `native_finish_reason`, `stop_sequence`).
"""

import json
import time
from dataclasses import dataclass, field
from typing import Any

from durable_agent_team.gateway.doors.chat_answer import count_of, exact_counts, object_of, text_of
from durable_agent_team.gateway.doors.fields import Json, given
from durable_agent_team.gateway.doors.messages_answer import NATIVE
from durable_agent_team.gateway.doors.thinking import BLOCKS, is_block
from durable_agent_team.providers.finish_reasons import Ending, ending_of

FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
}
BY_ENDING = {
    Ending.STOP: "stop",
    Ending.LENGTH: "length",
    Ending.CONTENT_FILTER: "content_filter",
    Ending.REFUSAL: "content_filter",
    Ending.ERROR: "length",
}
"""For every other `stop_reason`. A chat has no word for a turn that was paused or broke off
(`pause_turn`): `length` is the one that says that there is more to come."""
CACHE_FIELDS = ("cache_read_input_tokens", "cache_creation_input_tokens", "cache_creation")
PASSED_ON = (*CACHE_FIELDS, "service_tier", "iterations")
"""Fields of a usage for which a chat's spelling has no name."""
NONE_UNCACHED = -1
"""Moonshot's `input_tokens` of a prompt that was all in its cache."""


def chat_from_message(message: Json) -> Json:
    """What is no Message, such as an error, is returned as it is."""
    if message.get("type") != "message":
        return message
    said = _Said()
    for block in _blocks(message.get("content")):
        said.add(block)
    choice = {"index": 0, "message": said.message(message), **_ending(message)}
    usage = given({"usage": usage_from_messages(_usage_in(message)) or None})
    return {**_head(message, "chat.completion"), "choices": [choice], **usage}


def _blocks(content: Any) -> list[Json]:
    """Some servers have a text instead of its block, or nothing at all."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [each for each in content if isinstance(each, dict)] if isinstance(content, list) else []


def _signed(block: Json) -> Json:
    """With the signature that servers of other makers leave out of a thought, or have as null."""
    unsigned = block.get("type") == "thinking" and block.get("signature") is None
    return {**block, "signature": ""} if unsigned else block


def _arguments_of(block: Json) -> str:
    """Some servers have the input as text."""
    given = block.get("input")
    if isinstance(given, str) and given.strip():
        return given
    return json.dumps(object_of(block, "input"), ensure_ascii=False)


@dataclass
class _Said:
    """The blocks of a whole message."""

    texts: list[str] = field(default_factory=list)
    calls: list[Json] = field(default_factory=list)
    blocks: list[Json] = field(default_factory=list)

    def add(self, block: Json) -> None:
        if block.get("type") == "text":
            self.texts.append(text_of(block, "text"))
        elif block.get("type") == "tool_use":
            self.calls.append(_call(block, _arguments_of(block)))
        elif is_block(block := _signed(block)):
            self.blocks.append(block)

    def message(self, whole: Json) -> Json:
        thought = "".join(text_of(block, "thinking") for block in self.blocks)
        content = "".join(self.texts) if self.texts or not self.calls else None
        more = {
            "tool_calls": self.calls or None,
            "reasoning_content": thought or None,
            BLOCKS: self.blocks or None,
            "refusal": _refusal(whole),
        }
        return {"role": "assistant", "content": content, **given(more)}


def _head(message: Json, kind: str) -> Json:
    known = {"id": message.get("id"), "model": message.get("model")}
    return {**given(known), "object": kind, "created": int(time.time())}


def _call(block: Json, arguments: str) -> Json:
    function = {"name": text_of(block, "name"), "arguments": arguments}
    return {"id": text_of(block, "id"), "type": "function", "function": function}


def _ending(delta: Json) -> Json:
    reason = text_of(delta, "stop_reason")
    finish = (FINISH_REASONS.get(reason) or BY_ENDING[ending_of(reason)]) if reason else None
    return {"finish_reason": finish, **given({NATIVE: reason or None}), **_stop_sequence(delta)}


def _stop_sequence(delta: Json) -> Json:
    return given({"stop_sequence": delta.get("stop_sequence")})


def _refusal(message: Json) -> str | None:
    """Anthropic's guide "Handling stop reasons": a refusal may come with an explanation."""
    if message.get("stop_reason") != "refusal":
        return None
    return text_of(object_of(message, "stop_details"), "explanation") or None


def _usage_in(data: Json) -> Json:
    return exact_counts(object_of(data, "usage"))


def usage_from_messages(usage: Json) -> Json:
    """In a chat's spelling, where the prompt includes what was cached; Anthropic's own spelling of
    the cache is beside it. Empty if there is none."""
    if not usage:
        return {}
    read, written = (count_of(usage, name) for name in CACHE_FIELDS[:2])
    prompt: Any = count_of(usage, "input_tokens") + read + written
    completion: Any = count_of(usage, "output_tokens")
    details = object_of(usage, "output_tokens_details")
    thought = count_of(details, "thinking_tokens") or count_of(details, "reasoning_tokens")
    total = {"total_tokens": prompt + completion}
    all_cached = usage.get("input_tokens") == NONE_UNCACHED
    if not _is_count(usage.get("input_tokens")) and not (all_cached and read):
        prompt, total = usage["input_tokens"], {}  # what cannot be believed stays so
    if not _is_count(usage.get("output_tokens")):
        completion, total = usage["output_tokens"], {}
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        **total,
        "prompt_tokens_details": {"cached_tokens": read, "cache_write_tokens": written},
        **({"completion_tokens_details": {"reasoning_tokens": thought}} if thought else {}),
        **given({name: usage.get(name) for name in PASSED_ON}),
    }


def _is_count(value: Any) -> bool:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value is None or (whole and value >= 0)


@dataclass
class ChatChunks:
    """The events of a streamed Message as chunks. `feed` takes an event's data; `over` is set after
    its last one."""

    over: bool = False
    _head: Json = field(default_factory=dict)
    _usage: Json = field(default_factory=dict)
    _block: int = 0
    """The index of the block that is open, among all of them."""
    _calls: dict[int, int] = field(default_factory=dict)
    """Each `tool_use` block's index -> its number among the calls. Some servers open several."""
    _no_input: dict[int, Json] = field(default_factory=dict)
    """Those that are open, until a part of their input has come."""

    def feed(self, event: Json) -> list[Json]:
        kind = event.get("type")
        if kind == "message_start":
            message = object_of(event, "message")
            self._head = _head(message, "chat.completion.chunk")
            told = _usage_in(message)  # its output is what came so far: a token or two
            self._usage |= {name: each for name, each in told.items() if name != "output_tokens"}
            return [self._chunk({"role": "assistant", "content": ""})]
        if kind == "content_block_start":
            self._block = count_of(event, "index")
            return self._start(object_of(event, "content_block"))
        if kind == "content_block_delta":
            self._block = count_of(event, "index")
            return self._delta(object_of(event, "delta"))
        if kind == "content_block_stop":
            self._block = count_of(event, "index")
            return self._stop()
        if kind == "message_delta":
            told = _usage_in(event)  # of some servers with zeros for what came before
            self._usage |= {name: each for name, each in told.items() if each}
            delta = object_of(event, "delta")
            refusal = given({"refusal": _refusal(delta)})
            return [self._chunk(refusal, **_ending(delta)), *self._used()]
        if kind == "message_stop":
            self.over = True
            return self._used()
        return [event] if "error" in event else []

    def _used(self) -> list[Json]:
        """What it has used. Known from the `message_delta` on: the last event may not come."""
        usage = usage_from_messages(self._usage)
        return [{**self._head, "choices": [], "usage": usage}] if usage else []

    def _chunk(self, delta: Json, **more: Any) -> Json:
        choice = {"index": 0, "delta": delta, "finish_reason": None, **more}
        return {**self._head, "choices": [choice]}

    def _start(self, block: Json) -> list[Json]:
        kind = block.get("type")
        if kind == "tool_use":
            number = self._calls[self._block] = len(self._calls)
            self._no_input[self._block] = block
            call = {"index": number, **_call(block, "")}
            return [self._chunk({"tool_calls": [call]})]
        if kind == "redacted_thinking" and is_block(block):
            return [self._thinking(**block)]
        if kind == "thinking" and (thought := text_of(block, "thinking")):
            signature = text_of(block, "signature")
            return [self._thinking(thought, type=kind, thinking=thought, signature=signature)]
        text = text_of(block, "text")
        return [self._chunk({"content": text})] if kind == "text" and text else []

    def _delta(self, delta: Json) -> list[Json]:
        kind = delta.get("type")
        if kind == "text_delta":
            return [self._chunk({"content": text_of(delta, "text")})]
        if kind == "input_json_delta":
            return self._arguments(text_of(delta, "partial_json"))
        if kind == "thinking_delta":
            thought = text_of(delta, "thinking")
            return [self._thinking(thought, type="thinking", thinking=thought, signature="")]
        if kind == "signature_delta":
            signature = text_of(delta, "signature")
            return [self._thinking(type="thinking", thinking="", signature=signature)]
        return []

    def _thinking(self, text: str = "", /, **part: Any) -> Json:
        """`index` is what clients put the parts of a block together by."""
        said = {"reasoning_content": text} if text else {}
        return self._chunk({**said, BLOCKS: [{"index": self._block, **part}]})

    def _arguments(self, text: str) -> list[Json]:
        number = self._calls.get(self._block)
        if not text or number is None:
            return []
        self._no_input.pop(self._block, None)
        call = {"index": number, "function": {"arguments": text}}
        return [self._chunk({"tool_calls": [call]})]

    def _stop(self) -> list[Json]:
        """A call whose input came in no part has the one that it began with."""
        block = self._no_input.get(self._block)
        return [] if block is None else self._arguments(_arguments_of(block))
