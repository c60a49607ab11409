"""Chat messages as the system prompt, the messages and the content blocks of a Messages request."""

import re
from typing import Any

from durable_agent_team.gateway.api_error import ApiError, invalid
from durable_agent_team.gateway.doors.call_ids import MESSAGES_ID, fitting_id
from durable_agent_team.gateway.doors.chat_answer import tool_calls
from durable_agent_team.gateway.doors.fields import Json, given
from durable_agent_team.gateway.doors.messages_answer import tool_input
from durable_agent_team.gateway.doors.thinking import BLOCKS, valid_blocks

DATA_URL = re.compile(r"data:([a-z]+/[a-z0-9.+-]+);base64,", re.ASCII)
SYSTEM = ("system", "developer")


def split_messages(messages: list[Json], upstream: str) -> tuple[list[Json], list[Json]]:
    """The blocks of the system prompt, and the messages. Results of tools and what the user says
    after them are one message."""
    system: list[Json] = []
    found: list[Json] = []
    for number, message in enumerate(messages):
        path, role = f"messages[{number}]", message["role"]
        if role in SYSTEM:
            if found:
                why = "the system prompt stands before all other messages"
                raise _lost(f"{path}.role", upstream, why)
            system += _content(message, path, upstream)
        elif role == "assistant":
            _append(found, role, _assistant(message, path, upstream))
        elif role == "tool":
            _append(found, "user", [_result(message, path, upstream)])
        elif role == "user":
            if message.get("name") is not None:
                raise _lost(f"{path}.name", upstream, "write the name into the text")
            _append(found, role, _content(message, path, upstream))
        else:
            raise _lost(f"{path}.role", upstream, "send user, assistant, system or tool")
    return system, found


def _lost(field: str, upstream: str, remedy: str) -> ApiError:
    return invalid(
        f"`{field}` cannot be translated for the upstream {upstream}, which speaks Anthropic's"
        f" Messages; {remedy}",
        "unsupported_content",
    )


def _append(found: list[Json], role: str, blocks: list[Json]) -> None:
    if not blocks:
        return
    if found and found[-1]["role"] == role:
        found[-1]["content"] += blocks
    else:
        found.append({"role": role, "content": blocks})


def _content(message: Json, path: str, upstream: str) -> list[Json]:
    """Without empty texts, which Messages refuses."""
    content = message.get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    parts = enumerate(content or [])
    blocks = [_part(part, f"{path}.content[{number}]", upstream) for number, part in parts]
    return [block for block in blocks if block.get("text") != ""]


def _part(part: Json, path: str, upstream: str) -> Json:
    cached = given({"cache_control": part.get("cache_control")})
    kind = part["type"]
    if kind in ("text", "refusal"):
        return {"type": "text", "text": part[kind], **cached}
    if kind == "image_url":
        detail = part["image_url"].get("detail")
        if detail not in (None, "auto"):
            raise _lost(f"{path}.image_url.detail", upstream, "leave it out")
        return {"type": "image", "source": _source(part["image_url"]["url"]), **cached}
    if kind == "file":
        data = part["file"].get("file_data")
        source = _source(data) if isinstance(data, str) else {}
        if source.get("type") != "base64":
            remedy = "send its content as `file_data`, base64 in a data URL"
            raise _lost(f"{path}.file", upstream, remedy)
        title = given({"title": part["file"].get("filename")})
        return {"type": "document", "source": source, **title, **cached}
    raise _lost(path, upstream, "send texts, images and files")


def _source(url: str) -> Json:
    if match := DATA_URL.match(url):
        return {"type": "base64", "media_type": match[1], "data": url[match.end() :]}
    return {"type": "url", "url": url}


def _assistant(message: Json, path: str, upstream: str) -> list[Json]:
    if message.get("function_call") is not None:
        raise _lost(f"{path}.function_call", upstream, "send `tool_calls`")
    blocks = valid_blocks(message.get(BLOCKS))
    blocks += _content(message, path, upstream)
    if refusal := message.get("refusal"):
        blocks.append({"type": "text", "text": refusal})
    return blocks + [_call(each, path, upstream) for each in tool_calls(message)]


def _call(call: Json, path: str, upstream: str) -> Json:
    identifier, name = call.get("id"), call["function"].get("name")
    if not isinstance(identifier, str) or not isinstance(name, str):
        raise _lost(f"{path}.tool_calls", upstream, "each needs an `id` and a function's `name`")
    cached = given({"cache_control": call.get("cache_control")})
    identifier = fitting_id(identifier, MESSAGES_ID)
    block: Json = {"type": "tool_use", "id": identifier, "name": name, "input": tool_input(call)}
    return {**block, **cached}


def _result(message: Json, path: str, upstream: str) -> Json:
    identifier: Any = message.get("tool_call_id")
    if not isinstance(identifier, str):
        raise _lost(f"{path}.tool_call_id", upstream, "name the call that this is the result of")
    content = message.get("content")
    if not isinstance(content, str):
        content = _content(message, path, upstream)
    identifier = fitting_id(identifier, MESSAGES_ID)
    block: Json = {"type": "tool_result", "tool_use_id": identifier, "content": content or None}
    block["is_error"] = message.get("is_error")
    return given({**block, "cache_control": message.get("cache_control")})
