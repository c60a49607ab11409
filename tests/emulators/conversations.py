"""What each provider takes back of a conversation with tools, and how it answers with calls.

Sources: OpenAI's reference ("Create chat completion": additional properties of a message are
refused; every call is answered by a message of the tool). ai.google.dev/gemini-api/docs/
thought-signatures (Gemini 3: the first call of a message has its signature, or 400; the signature
`skip_thought_signature_validator` for calls of other models). api-docs.deepseek.com/guides/
thinking_mode, "Tool calls" (`reasoning_content` of messages with calls is passed back, or 400).
docs.mistral.ai/capabilities/function_calling and its errors (code 3280: ids of nine letters and
digits; unknown fields: 422). openrouter.ai/docs/use-cases/reasoning-tokens (`reasoning_details`
come back unmodified). docs.x.ai/docs/guides/function-calling.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
THOUGHT = "I look at both."
OWN = frozenset({"role", "content", "tool_calls", "refusal", "name"})
SKIP = "skip_thought_signature_validator"


class NotTaken(Exception):
    """A refusal of the conversation, with its status."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Taken:
    """`fields` are those of a message with calls beyond the common ones; None: any."""

    fields: frozenset[str] | None
    call_fields: frozenset[str] = frozenset()
    ids: str = "call_{}"
    id_pattern: str = ""
    wants_back: str = ""
    """The field of a message with calls without which it is refused."""
    signs: bool = False
    unknown_status: int = 400


NOTHING = Taken(frozenset())
CONVERSATIONS: Mapping[str, Taken] = {
    "openai-reasoning": NOTHING,
    "openai": NOTHING,
    "azure": NOTHING,
    "anthropic": Taken(None, ids="toolu_{}"),
    "gemini": Taken(
        frozenset({"extra_content"}), frozenset({"extra_content"}), "function-call-{}", signs=True
    ),
    "deepseek": Taken(None, ids="call_00_{}", wants_back="reasoning_content"),
    "xai": Taken(None, ids="call-{}"),
    "mistral": Taken(
        frozenset({"prefix"}), frozenset({"index"}), "D68{:0>6}", "[a-zA-Z0-9]{9}",
        unknown_status=422,
    ),
    "openrouter": Taken(None, ids="tool.{}"),
    "ollama": Taken(None),
}  # fmt: skip


def signature(call: Json) -> str:
    return hashlib.sha256(json.dumps(call["function"], sort_keys=True).encode()).hexdigest()


def calling(name: str, tools: list[Json]) -> Json:
    """A message that calls the first tool twice, at once, and has no content."""
    taken = CONVERSATIONS[name]
    function = tools[0]["function"]["name"]
    calls: list[Json] = []
    for number, city in enumerate(("Oslo", "Rome"), 1):
        arguments = json.dumps({"city": city})
        called = {"name": function, "arguments": arguments}
        calls.append({"id": taken.ids.format(number), "type": "function", "function": called})
    message: Json = {"role": "assistant", "content": None, "tool_calls": calls}
    if taken.signs:
        calls[0]["extra_content"] = {"google": {"thought_signature": signature(calls[0])}}
    if name in ("deepseek", "xai"):
        message["reasoning_content"] = THOUGHT
    if name == "openrouter":
        details = [{"type": "reasoning.text", "text": THOUGHT, "signature": "s", "index": 0}]
        message |= {"reasoning": THOUGHT, "reasoning_details": details}
    return message


def check_conversation(name: str, messages: list[Json]) -> None:
    """Raises NotTaken as the provider refuses it."""
    taken = CONVERSATIONS[name]
    waiting: list[str] = []
    for number, message in enumerate(messages):
        if message["role"] == "tool":
            _check(set(message) <= {"role", "tool_call_id", "content", "name"}, "tool: fields")
            _check(isinstance(message["content"], str | list), "tool: content")
            _check(waiting and message["tool_call_id"] == waiting.pop(0), "tool_call_id not found")
            continue
        missing = f"messages.{number}: tool_calls must be followed by tool messages: {waiting}"
        _check(not waiting, missing)
        if message["role"] == "assistant":
            calls = message.get("tool_calls") or []
            _check(calls or message.get("content"), f"messages.{number}.content: expected a string")
            _check_said(taken, message, calls)
            waiting = [call["id"] for call in calls]
    _check(not waiting, f"tool_calls without results: {waiting}")


def _check_said(taken: Taken, message: Json, calls: list[Json]) -> None:
    if taken.fields is not None:
        unknown = set(message) - OWN - taken.fields
        _check(not unknown, f"Additional properties: {sorted(unknown)}", taken.unknown_status)
        for call in calls:
            unknown = set(call) - {"id", "type", "function"} - taken.call_fields
            _check(not unknown, f"extra_forbidden: {sorted(unknown)}", taken.unknown_status)
    for call in calls:
        _check(isinstance(json.loads(call["function"]["arguments"]), dict), "arguments")
        fits = not taken.id_pattern or re.fullmatch(taken.id_pattern, call["id"])
        _check(fits, f"Tool call id was {call['id']} but must be a-z, A-Z, 0-9, with a length of 9")
    if calls and taken.wants_back:
        told = message.get(taken.wants_back)
        own = calls[0]["id"].startswith(taken.ids.format(""))
        _check(
            told == THOUGHT if own else isinstance(told, str),
            f"The `{taken.wants_back}` in the thinking mode must be passed back to the API.",
        )
    if calls and taken.signs:
        signed = calls[0].get("extra_content", {}).get("google", {}).get("thought_signature")
        own = {name: calls[0][name] for name in ("id", "type", "function")}
        _check(signed in (signature(own), SKIP), "Function call is missing a thought_signature")


def _check(condition: object, message: str, status: int = 400) -> None:
    if not condition:
        raise NotTaken(message, status)
