"""What a provider wants back with its own message: signed or plain thinking, in its own fields.

Sources: DeepSeek ("Thinking mode, tool calls": `reasoning_content` must be passed back, or 400),
Moonshot (Kimi thinking models: the same), OpenRouter (`reasoning_details` "unmodified"), LiteLLM
and Anthropic (`thinking_blocks`, signed), Mistral (parts of type `thinking` in `content`), Gemini's
OpenAI endpoint (`extra_content.google.thought_signature` of each tool call, or 400).
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from durable_agent_team.contracts.bounded_text import is_storable
from durable_agent_team.contracts.conversation import MAX_CARRIED

SIGNED = ("reasoning_details", "thinking_blocks")
PLAIN = ("reasoning_content", "reasoning")
OF_CALL = ("extra_content", "provider_specific_fields")
EMPTY: tuple[Any, ...] = ("", None, [], {})


def carried_fields(message: Mapping[str, Any], ids: Sequence[str | None]) -> str:
    """JSON of the fields that go back; `ids` are the ids of the message's calls as they go back,
    None for one that does not. Empty where there is nothing. Of more than fits, the plain thinking
    is left out first; half of a signed thought would be refused."""
    fields = {name: message[name] for name in (*SIGNED, *PLAIN) if message.get(name) not in EMPTY}
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    of_calls = _of_calls(message, ids)
    for kept in (fields, {name: fields[name] for name in SIGNED if name in fields}, {}):
        found = {"fields": kept, "content": parts, "calls": of_calls}
        given = {name: value for name, value in found.items() if value}
        text = json.dumps(given, ensure_ascii=False, separators=(",", ":")) if given else ""
        if len(text) <= MAX_CARRIED and is_storable(text):
            return text
    return ""


def with_carried(message: dict[str, Any], carried: str) -> dict[str, Any]:
    """The message with the fields as they came."""
    if not carried:
        return message
    found = json.loads(carried)
    of_calls = found.get("calls", {})
    calls = [{**each, **of_calls.get(each["id"], {})} for each in message["tool_calls"]]
    content = found.get("content") or message["content"]
    return {**message, **found.get("fields", {}), "content": content, "tool_calls": calls}


def _of_calls(message: Mapping[str, Any], ids: Sequence[str | None]) -> dict[str, Any]:
    calls = message.get("tool_calls")
    pairs = zip(calls if isinstance(calls, list) else [], ids, strict=False)
    found = {
        call_id: {name: call[name] for name in OF_CALL if call.get(name) not in EMPTY}
        for call, call_id in pairs
        if call_id is not None and isinstance(call, Mapping)
    }
    return {call_id: fields for call_id, fields in found.items() if fields}
