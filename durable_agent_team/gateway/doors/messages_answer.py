"""A chat answer as an Anthropic Message, as `POST /v1/messages` returns it."""

from durable_agent_team.gateway.doors.chat_answer import (
    bare_id,
    content_text,
    count_of,
    first_choice,
    object_of,
    text_of,
    tool_calls,
    usage_tokens,
)
from durable_agent_team.gateway.doors.fields import Json, given
from durable_agent_team.gateway.doors.thinking import BLOCKS, thinking_text, valid_blocks
from durable_agent_team.gateway.strict_json import parse_request
from durable_agent_team.providers.finish_reasons import Ending, ending_of

TOOL_CALLS = frozenset({"tool_calls", "function_call"})
BY_ENDING = {
    Ending.STOP: "end_turn",
    Ending.LENGTH: "max_tokens",
    Ending.CONTENT_FILTER: "refusal",
    Ending.REFUSAL: "refusal",
    Ending.ERROR: "max_tokens",
}
"""By what a choice's `finish_reason` means. Messages have no word for an answer that the provider
broke off: `max_tokens` says that it is not whole."""
NATIVE = "native_finish_reason"
"""In a choice: the upstream's own word, if it spoke Messages."""
ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""Anthropic's reference, "Errors"."""


def message_from_chat(answer: Json, request: Json) -> Json:
    choice = first_choice(answer)
    content = content_blocks(object_of(choice, "message"), bare_id(answer))
    usage = usage_of(object_of(answer, "usage"))
    return {**frame(answer, request), "content": content, **ending(choice), "usage": usage}


def frame(answer: Json, request: Json) -> Json:
    return {
        "id": f"msg_{bare_id(answer).removeprefix('msg_')}",
        "type": "message",
        "role": "assistant",
        "model": text_of(answer, "model") or request.get("model"),
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def ending(choice: Json) -> Json:
    reason = text_of(choice, NATIVE) or _stop_reason(choice)
    return {"stop_reason": reason, "stop_sequence": choice.get("stop_sequence")}


def _stop_reason(choice: Json) -> str:
    finish, message = text_of(choice, "finish_reason"), object_of(choice, "message")
    reason = "tool_use" if finish in TOOL_CALLS else BY_ENDING[ending_of(finish)]
    if reason == "end_turn" and text_of(message, "refusal"):
        return "refusal"
    if reason == "end_turn" and tool_calls(message):
        return "tool_use"  # some upstreams say `stop`
    return reason


def content_blocks(message: Json, identity: str) -> list[Json]:
    blocks = valid_blocks(message.get(BLOCKS))
    thought = thinking_text(message)
    if thought and not blocks:
        blocks = [{"type": "thinking", "thinking": thought, "signature": ""}]
    for text in (content_text(message), text_of(message, "refusal")):
        if text:
            blocks.append({"type": "text", "text": text})
    for number, call in enumerate(tool_calls(message)):
        blocks.append({**tool_block(call, identity, number), "input": tool_input(call)})
    return blocks


def tool_block(call: Json, identity: str, number: int) -> Json:
    return {
        "type": "tool_use",
        "id": text_of(call, "id") or f"toolu_{identity}_{number}",
        "name": text_of(call["function"], "name"),
        "input": {},
    }


def tool_input(call: Json) -> Json:
    """The arguments as an object. What is none, or could not be sent on as JSON (NaN, half of a
    surrogate pair, deep nesting), stands under `INVALID_JSON`, as Anthropic's guide to fine-grained
    tool streaming puts it."""
    arguments = text_of(call["function"], "arguments")
    try:
        return parse_request((arguments or "{}").encode(errors="surrogatepass"))
    except ValueError:
        return {"INVALID_JSON": arguments}


def usage_of(usage: Json) -> Json:
    """`input_tokens` without what was read from the cache or written to it, as Anthropic counts;
    with the charge, `cost`."""
    tokens = usage_tokens(usage)
    written = max(tokens["cache_write"], count_of(usage, "cache_creation_input_tokens"))
    read = max(tokens["cached"], count_of(usage, "cache_read_input_tokens"))
    return {
        "input_tokens": max(0, tokens["prompt"] - read - written),
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": written,
        "output_tokens": tokens["completion"],
        **given({name: usage.get(name) for name in ("cost", "estimated")}),
    }


def error_from_chat(body: Json, status: int = 0, request_id: str | None = None) -> Json:
    """An error's body. What the gateway says beyond `type` and `message` stays in it."""
    error = object_of(body, "error")
    status = status or error.get("status") or 0
    kind = ERROR_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    rest = {name: value for name, value in body.items() if name not in ("error", "type")}
    known = given({"request_id": request_id})
    return {"type": "error", "error": {**error, "type": kind}, **rest, **known}
