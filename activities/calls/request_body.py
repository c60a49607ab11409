"""The body of a call: byte for byte the same in all attempts of one call."""

import json
from collections.abc import Iterator
from typing import Any

from pydantic_core import PydanticSerializationError, to_json

from activities.calls.output_formats import response_format
from activities.calls.shown_answers import shown_answer
from activities.calls.source_fences import fence_tag, fenced
from activities.conversations.conversation_body import (
    conversation_messages,
    introduction,
    tool_fields,
)
from durable_agent_team.contracts.call import READ_BY_WORKFLOW, CallRequest, Rejected
from durable_agent_team.rules.repair_texts import repair_text


def body(call: CallRequest) -> bytes:
    """The request as JSON: compact, since the gateway's bound counts its bytes."""
    request: dict[str, Any] = {
        "model": call.model,
        "messages": list(messages(call)),
        "max_tokens": call.max_tokens,
    }
    if call.temperature is not None:
        request["temperature"] = call.temperature
    if call.frequency_penalty:
        request["frequency_penalty"] = call.frequency_penalty
    if call.seed is not None:
        request["seed"] = call.seed
    if call.reasoning_effort is not None:
        request["reasoning_effort"] = call.reasoning_effort
    if call.conversation is not None:
        request |= tool_fields(call)
    elif (held_to := response_format(call)) is not None:
        request["response_format"] = held_to
    return _encoded(request)


def _encoded(request: dict[str, Any]) -> bytes:
    """By pydantic's serializer, which takes a tenth of the time of the standard library's for the
    100 KB of a long conversation. It refuses half of a surrogate pair, which becomes `?` here."""
    try:
        return to_json(request)
    except (UnicodeEncodeError, PydanticSerializationError):
        text = json.dumps(request, ensure_ascii=False, separators=(",", ":"))
        return text.encode("utf-8", "replace")


def messages(call: CallRequest) -> Iterator[dict[str, Any]]:
    """System, request, and after a failed check the failed answer and its reasons; in a
    conversation all that was said."""
    if call.system.strip():
        yield {"role": "system", "content": call.system}
    yield {"role": "user", "content": "\n\n".join(_request(call))}
    if call.conversation is not None:
        yield from conversation_messages(call)
    elif call.rejected is not None:
        yield from _repair(call, call.rejected)


def _request(call: CallRequest) -> Iterator[str]:
    """The goal first (only the orchestrator has one), the inputs, what is missing, the ask."""
    if call.goal is not None:
        yield f"Goal: {call.goal}"
    tag = fence_tag(call)
    for source in call.sources:
        yield fenced(source, tag)
    if call.missing:
        yield f"Inputs that are missing, because nobody could make them: {', '.join(call.missing)}."
    yield call.ask if call.conversation is None else call.ask + introduction(call)


def _repair(call: CallRequest, rejected: Rejected) -> Iterator[dict[str, str]]:
    shape = "text" if call.purpose in READ_BY_WORKFLOW else call.output
    yield {"role": "assistant", "content": shown_answer(rejected.answer)}
    yield {
        "role": "user",
        "content": repair_text(rejected.reasons, shape, _room(call, rejected)),
    }


def _room(call: CallRequest, rejected: Rejected) -> str:
    """How much room the agent has now, after its answer was cut off; empty for other repairs."""
    if rejected.finish_reason != "length":
        return ""
    if call.raised_from is not None and call.raised_from < call.max_tokens:
        return f" You have up to {call.max_tokens} tokens now: answer in full."
    return f" You have no more than {call.max_tokens} tokens: answer more briefly."
