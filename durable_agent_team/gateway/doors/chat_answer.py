"""What an upstream's chat answer contains, read leniently: it was paid for, whatever it looks like.

The same questions for a whole answer and for the deltas of a stream.
"""

from typing import Any

from durable_agent_team.gateway.doors.fields import Json

GAP = "\n\n"
"""Between texts that a chat answer has one field for: two messages, or two parts of reasoning."""


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
