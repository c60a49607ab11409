"""What an upstream's chat answer contains, read leniently: it was paid for, whatever it looks like.

The same questions for a whole answer and for the deltas of a stream.
"""

import re
from typing import Any

from durable_agent_team.gateway.doors.fields import Json

GAP = "\n\n"
"""Between texts that a chat answer has one field for: two messages, or two parts of reasoning."""

COUNT_NAME = re.compile("token|cache_read|cache_creation|reasoning", re.IGNORECASE)
"""In the name of every count; a usage has costs and times, too."""
WHOLE = re.compile(r"\s*(-?[0-9]{1,15})(?:\.0*)?\s*", re.ASCII)


def object_of(data: Json, name: str) -> Json:
    value = data.get(name)
    return value if isinstance(value, dict) else {}


def text_of(data: Json, name: str) -> str:
    value = data.get(name)
    return value if isinstance(value, str) else ""


def count_of(data: Json, name: str) -> int:
    value = data.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def first_choice(data: Json) -> Json:
    """The first choice of an answer or a chunk; empty if it has none."""
    choices = data.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, dict) else {}


def content_text(message: Json) -> str:
    """The content, which some upstreams send as a list of parts."""
    content = message.get("content")
    if isinstance(content, list):
        return "".join(text_of(part, "text") for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def tool_calls(message: Json) -> list[Json]:
    """Each with its `function` as an object."""
    calls = message.get("tool_calls")
    listed = calls if isinstance(calls, list) else []
    return [
        {**call, "function": object_of(call, "function")}
        for call in listed
        if isinstance(call, dict)
    ]


def position_of(call: Json, seen: int) -> int:
    """Which of an answer's calls a chunk belongs to. Some upstreams leave out the index: then each
    id begins a new one, after `seen` others."""
    index = call.get("index")
    if isinstance(index, int):
        return index
    return seen if text_of(call, "id") or not seen else seen - 1


def logprobs_of(choice: Json) -> list[Any]:
    content = object_of(choice, "logprobs").get("content")
    return content if isinstance(content, list) else []


def usage_tokens(usage: Json) -> dict[str, int]:
    """Tokens by kind, as chat answers spell them. `prompt` includes what was cached."""
    prompt = object_of(usage, "prompt_tokens_details")
    completion = object_of(usage, "completion_tokens_details")
    return {
        "prompt": count_of(usage, "prompt_tokens"),
        "completion": count_of(usage, "completion_tokens"),
        "cached": count_of(prompt, "cached_tokens"),
        "cache_write": count_of(prompt, "cache_write_tokens"),
        "reasoning": count_of(completion, "reasoning_tokens"),
    }


def bare_id(data: Json) -> str:
    """The answer's id without its prefix, for ids of this door. The same for every replay."""
    bare = text_of(data, "id").removeprefix("chatcmpl-").removeprefix("resp_")
    return bare[:100] or "unknown"


def exact_counts(reported: Json) -> Json:
    """A usage with a whole number wherever it has one as `12.0` or as a text: they can mean nothing
    else. What else is no count stays as it is, and is not believed."""
    if all(type(value) is int for value in reported.values()):
        return reported
    return {
        name: _exact(value, is_count=bool(COUNT_NAME.search(name)))
        for name, value in reported.items()
    }


def _exact(value: Any, *, is_count: bool) -> Any:
    if isinstance(value, dict):
        return exact_counts(value)
    if isinstance(value, list):
        return [_exact(each, is_count=is_count) for each in value]
    if is_count and isinstance(value, float) and value.is_integer():
        return int(value)
    if is_count and isinstance(value, str) and (whole := WHOLE.fullmatch(value)):
        return int(whole[1])
    return value
