"""A chat answer as a Response object, as `POST /v1/responses` returns it."""

from typing import Any

from durable_agent_team.gateway.doors.chat_answer import (
    bare_id,
    content_text,
    count_of,
    first_choice,
    logprobs_of,
    object_of,
    text_of,
    tool_calls,
    usage_tokens,
)
from durable_agent_team.gateway.doors.fields import Json, given
from durable_agent_team.gateway.doors.reasoning_details import DETAILS, items_before, valid_details
from durable_agent_team.gateway.doors.thinking import BLOCKS, sealed, thinking_text, valid_blocks
from durable_agent_team.gateway.doors.unnamed_responses import UNNAMED
from durable_agent_team.providers.finish_reasons import Ending, ending_of

INCOMPLETE = {
    Ending.LENGTH: "max_output_tokens",
    Ending.CONTENT_FILTER: "content_filter",
    Ending.REFUSAL: "content_filter",
    Ending.ERROR: None,
}
"""By what a choice's `finish_reason` means; a Response has no word for one that broke off."""


def response_from_chat(answer: Json, request: Json) -> Json:
    """`request` is what the client sent: a Response repeats much of it."""
    choice = first_choice(answer)
    identity = bare_id(answer)
    output = output_items(object_of(choice, "message"), logprobs_of(choice), identity)
    finish = choice.get("finish_reason")
    frame = response_frame(answer, request, identity)
    end = {**ending(finish), "id": final_id(request, identity, output)}
    return {**frame, **end, "output": output, "usage": usage_of(answer)}


def final_id(request: Json, identity: str, output: list[Json]) -> str | None:
    """None where the client would refer to it with the result of a tool that it calls."""
    calls_tool = any(item["type"] == "function_call" for item in output)
    return None if request.get(UNNAMED) and calls_tool else f"resp_{identity}"


def response_frame(answer: Json, request: Json, identity: str) -> Json:
    """Everything but the answer itself: a Response in progress."""
    text = request.get("text") or {}
    return {
        "id": None if request.get(UNNAMED) else f"resp_{identity}",
        "object": "response",
        "created_at": count_of(answer, "created"),
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": request.get("instructions"),
        "max_output_tokens": request.get("max_output_tokens"),
        "max_tool_calls": None,
        "model": text_of(answer, "model") or request.get("model"),
        "output": [],
        "parallel_tool_calls": request.get("parallel_tool_calls") is not False,
        "previous_response_id": None,
        "prompt_cache_key": request.get("prompt_cache_key"),
        "reasoning": {"effort": None, "summary": None, **(request.get("reasoning") or {})},
        "safety_identifier": request.get("safety_identifier"),
        "service_tier": answer.get("service_tier"),
        "store": False,
        "temperature": request.get("temperature"),
        "text": {**text, "format": text.get("format") or {"type": "text"}},
        "tool_choice": request.get("tool_choice") or "auto",
        "tools": request.get("tools") or [],
        "top_logprobs": request.get("top_logprobs") or 0,
        "top_p": request.get("top_p"),
        "truncation": "disabled",
        "usage": None,
        "user": request.get("user"),
        "metadata": request.get("metadata") or {},
    }


def ending(finish_reason: Any) -> Json:
    how = ending_of(finish_reason) if isinstance(finish_reason, str) else Ending.STOP
    if how is Ending.STOP:
        return {"status": "completed", "incomplete_details": None}
    return {"status": "incomplete", "incomplete_details": {"reason": INCOMPLETE[how]}}


def output_items(message: Json, logprobs: list[Any], identity: str) -> list[Json]:
    items: list[Json] = []
    text, refusal = content_text(message), text_of(message, "refusal")
    if text or refusal or not tool_calls(message):
        parts = [refusal_part(refusal)] if refusal else []
        if text or not refusal:
            parts.insert(0, text_part(text, logprobs))
        phase = text_of(message, "phase")
        items.append(message_item(f"msg_{identity}", "completed", parts, phase))
    for number, call in enumerate(tool_calls(message)):
        items.append(call_item(identity, number, call))
    for place, thought in reversed(_thoughts(message, identity, len(items))):
        items.insert(place, thought)
    return items


def _thoughts(message: Json, identity: str, last: int) -> list[tuple[int, Json]]:
    """The reasoning items, each with the number of other items before it, at most `last`. The
    thinking that can be read is in the first one."""
    thought, blocks = thinking_text(message), valid_blocks(message.get(BLOCKS))
    places: dict[int, list[Json]] = {0: []} if thought or blocks else {}
    for detail in sorted(valid_details(message.get(DETAILS)), key=items_before):
        places.setdefault(min(items_before(detail), last), []).append(detail)
    found = []
    for number, (place, details) in enumerate(places.items()):
        name = f"rs_{identity}" + (f"_{number}" if number else "")
        found.append((place, reasoning_item(name, thought, blocks, details)))
        thought, blocks = "", []
    return found


def reasoning_item(identity: str, thought: str, blocks: list[Json], details: list[Json]) -> Json:
    item: Json = {"id": identity, "type": "reasoning", "summary": []}
    if thought:
        item["content"] = [{"type": "reasoning_text", "text": thought}]
    if blocks or details:
        item["encrypted_content"] = sealed(blocks, details)
    return item


def message_item(identity: str, status: str, parts: list[Json], phase: str = "") -> Json:
    return {
        "id": identity,
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": parts,
        **given({"phase": phase or None}),
    }


def text_part(text: str, logprobs: list[Any]) -> Json:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs}


def refusal_part(refusal: str) -> Json:
    return {"type": "refusal", "refusal": refusal}


def call_item(identity: str, number: int, call: Json, status: str = "completed") -> Json:
    function = call["function"]
    return {
        "id": f"fc_{identity}_{number}",
        "type": "function_call",
        "status": status,
        "call_id": text_of(call, "id") or f"call_{identity}_{number}",
        "name": text_of(function, "name"),
        "arguments": text_of(function, "arguments"),
    }


def usage_of(answer: Json) -> Json | None:
    """With the charge, `cost`, as in a chat answer."""
    usage = object_of(answer, "usage")
    if not usage:
        return None
    tokens = usage_tokens(usage)
    return {
        "input_tokens": tokens["prompt"],
        "input_tokens_details": {
            "cached_tokens": tokens["cached"],
            "cache_write_tokens": tokens["cache_write"],
        },
        "output_tokens": tokens["completion"],
        "output_tokens_details": {"reasoning_tokens": tokens["reasoning"]},
        "total_tokens": tokens["prompt"] + tokens["completion"],
        **given({name: usage.get(name) for name in ("cost", "estimated")}),
    }
