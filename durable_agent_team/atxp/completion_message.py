"""Pure: what a choice of a chat completion says: the answer's text, the model's thinking, and its
refusal, each in every place where providers put it.

Sources: OpenAI's API reference (`content`, `refusal`, parts of type `text` and `refusal`); DeepSeek
and vLLM (`reasoning_content`); OpenRouter (`reasoning`, `reasoning_details`); Mistral (parts of
type `thinking`); Ollama (`thinking`); LiteLLM (`thinking_blocks`).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from durable_agent_team.providers.finish_reasons import Ending, ending_of

THINKING_FIELDS = ("reasoning_content", "reasoning", "thinking")
THINKING_LISTS = ("reasoning_details", "thinking_blocks")
THINKING_PARTS = frozenset({"thinking", "reasoning", "redacted_thinking", "reasoning_text"})
TEXT_FIELDS = ("text", "thinking", "reasoning", "summary", "content")
"""Where a part of a thought has its text, which may be a list of parts itself."""

MAX_DEPTH = 4
MAX_FINISH_REASON = 100


def answer_text(message: Mapping[str, Any]) -> str:
    """The answer's text, joined if it has several parts; empty if it has none."""
    content = message.get("content")
    if isinstance(content, list):
        return "".join(
            part["text"]
            for part in _parts(content)
            if _type(part) not in THINKING_PARTS and isinstance(part.get("text"), str)
        )
    return content if isinstance(content, str) else ""


def refusal_text(message: Mapping[str, Any]) -> str:
    """The words with which the model refuses; empty if it does not."""
    said = [message.get("refusal")]
    content = message.get("content")
    if isinstance(content, list):
        said += [part.get("refusal") for part in _parts(content) if _type(part) == "refusal"]
    return "\n".join(each.strip() for each in said if isinstance(each, str) and each.strip())


def thinking_text(message: Mapping[str, Any]) -> str:
    """The model's thinking, where the provider keeps it apart from the answer."""
    for name in THINKING_FIELDS:
        if found := _thought(message.get(name)):
            return found
    for name in THINKING_LISTS:
        if found := _thought(message.get(name)):
            return found
    content = message.get("content")
    if not isinstance(content, list):
        return ""
    return _thought([part for part in _parts(content) if _type(part) in THINKING_PARTS])


def finish_reason(choice: Mapping[str, Any]) -> str:
    """As the provider spells it. Where the endpoint has a word of its own beside the model's, the
    one that says more: an answer that was cut off or refused is not complete because a translation
    calls it so. Empty if unknown."""
    values = (choice.get(name) for name in ("finish_reason", "native_finish_reason", "stop_reason"))
    words = [each.strip() for each in values if isinstance(each, str) and each.strip()]
    endings = [ending_of(each) for each in words]
    for telling in (Ending.REFUSAL, Ending.CONTENT_FILTER, Ending.LENGTH, Ending.ERROR):
        if telling in endings:
            return words[endings.index(telling)][:MAX_FINISH_REASON]
    return words[0][:MAX_FINISH_REASON] if words else ""


def _thought(value: Any, depth: int = 0) -> str:
    if isinstance(value, str):
        return value
    if depth == MAX_DEPTH:
        return ""
    if isinstance(value, list):
        return "".join(_thought(part, depth + 1) for part in value)
    if isinstance(value, Mapping):
        texts = (_thought(value.get(name), depth + 1) for name in TEXT_FIELDS)
        return next((text for text in texts if text), "")
    return ""


def _parts(content: list[Any]) -> Iterator[Mapping[str, Any]]:
    return (part for part in content if isinstance(part, Mapping))


def _type(part: Mapping[str, Any]) -> str:
    value = part.get("type")
    return value if isinstance(value, str) else ""
