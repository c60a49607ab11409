"""The messages and content blocks of an Anthropic request as chat messages."""

import json
from typing import Any

from durable_agent_team.gateway.api_error import invalid, shown
from durable_agent_team.gateway.doors.fields import (
    Json,
    as_list,
    as_object,
    check_known,
    flag,
    given,
    one_of,
    optional_text,
    refused,
    text,
)
from durable_agent_team.gateway.doors.thinking import BLOCKS, is_block

INLINE = "files are not stored here, and none is fetched; send the content itself, as base64"
CITATIONS = {
    "citations": "citations have no counterpart in a chat answer",
    "context": "write it into the text",
}


def messages_of(value: Any, door: str) -> list[Json]:
    found: list[Json] = []
    for number, each in enumerate(as_list(value, "messages")):
        path = f"messages[{number}]"
        message = as_object(each, path)
        check_known(message, {"role", "content"}, {}, door, path)
        role = one_of(message.get("role"), ("user", "assistant", "system"), f"{path}.role")
        content = message.get("content")
        if isinstance(content, str):
            found.append({"role": role, "content": content})
        else:
            blocks = as_list(content, f"{path}.content")
            if not blocks:
                raise invalid(f"`{path}.content` is empty")
            found += BY_ROLE[role](blocks, f"{path}.content", door)
    if not found:
        raise invalid("`messages` must be a list of at least one message")
    return found


def text_block(value: Any, path: str, door: str) -> Json:
    block = as_object(value, path)
    one_of(block.get("type"), ("text",), f"{path}.type")
    known = {"type", "text", "cache_control"}
    check_known(_without_empty_citations(block), known, CITATIONS, door, path)
    return {"type": "text", "text": text(block, "text", path), **_cached(block)}


def _without_empty_citations(block: Json) -> Json:
    """The SDKs send back a text's `citations: null`, or an empty list."""
    return {name: value for name, value in block.items() if name != "citations" or value}


def _cached(block: Json) -> Json:
    return given({"cache_control": block.get("cache_control")})


def _user(blocks: list[Any], path: str, door: str) -> list[Json]:
    """Tool results are messages of their own in a chat, before the rest of the user's message."""
    results: list[Json] = []
    parts: list[Json] = []
    for number, each in enumerate(blocks):
        here = f"{path}[{number}]"
        block = as_object(each, here)
        if block.get("type") != "tool_result":
            parts.append(_part(block, here, door))
        elif parts:
            raise invalid(f"`{here}`: tool results stand before all other content of a message")
        else:
            results.append(_result(block, here, door))
    return [*results, {"role": "user", "content": parts}] if parts else results


def _system(blocks: list[Any], path: str, door: str) -> list[Json]:
    parts = [text_block(each, f"{path}[{n}]", door) for n, each in enumerate(blocks)]
    return [{"role": "system", "content": parts}]


def _assistant(blocks: list[Any], path: str, door: str) -> list[Json]:
    texts: list[Json] = []
    calls: list[Json] = []
    thinking: list[Json] = []
    for number, each in enumerate(blocks):
        here = f"{path}[{number}]"
        block = as_object(each, here)
        kind = block.get("type")
        if kind == "tool_use":
            calls.append(_call(block, here, door))
        elif kind in ("thinking", "redacted_thinking"):
            if not is_block(block):
                raise invalid(f"`{here}` must have the fields of a {kind} block, as texts")
            thinking.append(block)
        elif kind == "text":
            if calls:
                raise refused(here, door, "a text after a tool_use block; put it before it")
            texts.append(text_block(block, here, door))
        else:
            why = f"an answer consists of text, thinking and tool_use; got {shown(kind)}"
            raise refused(f"{here}.type", door, why)
    message: Json = {"role": "assistant", "content": texts or None}
    if len(texts) == 1 and "cache_control" not in texts[0]:
        message["content"] = texts[0]["text"]
    if calls:
        message["tool_calls"] = calls
    if thinking:
        message[BLOCKS] = thinking
    return [message]


BY_ROLE = {"user": _user, "assistant": _assistant, "system": _system}


def _call(block: Json, path: str, door: str) -> Json:
    caller = block.get("caller")
    if caller not in (None, {"type": "direct"}):
        raise refused(f"{path}.caller", door, "tools are called by the model alone")
    known = {"type", "id", "name", "input", "cache_control", "caller"}
    check_known(block, known, {}, door, path)
    arguments = as_object(block.get("input"), f"{path}.input")
    function = {
        "name": text(block, "name", path),
        "arguments": json.dumps(arguments, ensure_ascii=False),
    }
    return {
        "id": text(block, "id", path),
        "type": "function",
        "function": function,
        **_cached(block),
    }


def _result(block: Json, path: str, door: str) -> Json:
    known = {"type", "tool_use_id", "content", "is_error", "cache_control"}
    check_known(block, known, {}, door, path)
    content = block.get("content")
    if content is None:
        content = ""
    elif not isinstance(content, str):
        here = f"{path}.content"
        parts = enumerate(as_list(content, here))
        content = [
            _part(as_object(each, f"{here}[{n}]"), f"{here}[{n}]", door) for n, each in parts
        ]
    message: Json = {
        "role": "tool",
        "tool_call_id": text(block, "tool_use_id", path),
        "content": content,
    }
    if flag(block, "is_error", path):
        message["is_error"] = True
    return {**message, **_cached(block)}


def _part(value: Any, path: str, door: str) -> Json:
    block = as_object(value, path)
    kind = block.get("type")
    if kind == "text":
        return text_block(block, path, door)
    if kind == "image":
        return _image(block, path, door)
    if kind == "document":
        return _document(block, path, door)
    known = "text, image, document, tool_result"
    raise invalid(f"`{path}.type` must be one of {known}; got {shown(kind)}", "unsupported_content")


def _image(block: Json, path: str, door: str) -> Json:
    check_known(block, {"type", "source", "cache_control"}, {}, door, path)
    source, here = as_object(block.get("source"), f"{path}.source"), f"{path}.source"
    kind = source.get("type")
    if kind == "url":
        url = text(source, "url", here)
    elif kind == "base64":
        url = _data_url(source, here)
    else:
        raise refused(f"{here}.type", door, f"{INLINE}; got {shown(kind)}")
    return {"type": "image_url", "image_url": {"url": url}, **_cached(block)}


def _document(block: Json, path: str, door: str) -> Json:
    citations = block.get("citations")
    if isinstance(citations, dict) and not citations.get("enabled"):
        block = {name: value for name, value in block.items() if name != "citations"}
    check_known(block, {"type", "source", "title", "cache_control"}, CITATIONS, door, path)
    source, here = as_object(block.get("source"), f"{path}.source"), f"{path}.source"
    if source.get("type") != "base64":
        message = f"{INLINE}, or a text as a text block; got {shown(source.get('type'))}"
        raise refused(f"{here}.type", door, message)
    file = {"file_data": _data_url(source, here), "filename": optional_text(block, "title", path)}
    return {"type": "file", "file": given(file), **_cached(block)}


def _data_url(source: Json, path: str) -> str:
    return f"data:{text(source, 'media_type', path)};base64,{text(source, 'data', path)}"
