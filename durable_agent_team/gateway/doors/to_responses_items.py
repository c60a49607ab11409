"""Chat messages as the items of a Responses request's `input`."""

from typing import Any

from durable_agent_team.gateway.api_error import ApiError, invalid
from durable_agent_team.gateway.doors.call_ids import RESPONSES_ID, fitting_id
from durable_agent_team.gateway.doors.chat_answer import tool_calls
from durable_agent_team.gateway.doors.fields import Json, given
from durable_agent_team.gateway.doors.reasoning_details import (
    DETAILS,
    item_of,
    items_before,
    valid_details,
)

ROLES = ("system", "developer", "user")
PHASES = ("commentary", "final_answer")
"""OpenAI's reference: what an assistant's message is, to be sent back with it."""


def items_of(messages: list[Json], upstream: str) -> list[Json]:
    """Raises ApiError, naming the field, for what Responses cannot express."""
    items: list[Json] = []
    for number, message in enumerate(messages):
        path, role = f"messages[{number}]", message["role"]
        if message.get("name") is not None and role != "tool":  # the call has the tool's name
            raise _lost(f"{path}.name", upstream, "write the name into the text")
        if role == "assistant":
            items += _said(message, path, upstream)
        elif role == "tool":
            items.append(_result(message, path, upstream))
        elif role in ROLES:
            items.append(
                {"type": "message", "role": role, "content": _content(message, path, upstream)}
            )
        else:
            raise _lost(f"{path}.role", upstream, "send user, assistant, system or tool")
    return items


def _lost(field: str, upstream: str, remedy: str) -> ApiError:
    return invalid(
        f"`{field}` cannot be translated for the upstream {upstream}, which speaks OpenAI's"
        f" Responses; {remedy}",
        "unsupported_content",
    )


def _content(message: Json, path: str, upstream: str) -> Any:
    content = message.get("content")
    if not isinstance(content, list):
        return content or ""
    return [_part(part, f"{path}.content[{n}]", upstream) for n, part in enumerate(content)]


def _part(part: Json, path: str, upstream: str) -> Json:
    kind = part["type"]
    if kind in ("text", "refusal"):
        return {"type": "input_text", "text": part[kind]}
    if kind == "image_url":
        image = part["image_url"]
        detail = image.get("detail") or "auto"
        return {"type": "input_image", "image_url": image["url"], "detail": detail}
    if kind == "file":
        file = part["file"]
        if not isinstance(file.get("file_data"), str):
            remedy = "send its content as `file_data`, base64 in a data URL"
            raise _lost(f"{path}.file", upstream, remedy)
        found = {"file_data": file["file_data"], "filename": file.get("filename")}
        return {"type": "input_file", **given(found)}
    raise _lost(path, upstream, "send texts, images and files")


def _said(message: Json, path: str, upstream: str) -> list[Json]:
    """An earlier answer: its text, its calls, and the reasoning between them where it was."""
    if message.get("function_call") is not None:
        raise _lost(f"{path}.function_call", upstream, "send `tool_calls`")
    text = "".join((_text(message, path, upstream), message.get("refusal") or ""))
    said = {"type": "message", "role": "assistant", "content": text}
    if message.get("phase") in PHASES:
        said["phase"] = message["phase"]
    items: list[Json] = [said] if text else []
    items += [_call(each, path, upstream) for each in tool_calls(message)]
    details = sorted(valid_details(message.get(DETAILS)), key=items_before)
    for detail in reversed(details):
        # One that nothing follows is refused ("without its required following item").
        if items_before(detail) < len(items):
            items.insert(items_before(detail), item_of(detail))
    return items


def _text(message: Json, path: str, upstream: str) -> str:
    content = message.get("content")
    if not isinstance(content, list):
        return content or ""
    texts = []
    for number, part in enumerate(content):
        if part["type"] not in ("text", "refusal"):
            remedy = "an assistant's message can contain only text"
            raise _lost(f"{path}.content[{number}]", upstream, remedy)
        texts.append(part[part["type"]])
    return "".join(texts)


def _call(call: Json, path: str, upstream: str) -> Json:
    identifier, function = call.get("id"), call["function"]
    name, arguments = function.get("name"), function.get("arguments")
    if not isinstance(identifier, str) or not isinstance(name, str):
        raise _lost(f"{path}.tool_calls", upstream, "each needs an `id` and a function's `name`")
    arguments = arguments if isinstance(arguments, str) and arguments else "{}"
    identifier = fitting_id(identifier, RESPONSES_ID)
    return {"type": "function_call", "call_id": identifier, "name": name, "arguments": arguments}


def _result(message: Json, path: str, upstream: str) -> Json:
    identifier = message.get("tool_call_id")
    if not isinstance(identifier, str):
        raise _lost(f"{path}.tool_call_id", upstream, "name the call that this is the result of")
    output = _content(message, path, upstream)
    identifier = fitting_id(identifier, RESPONSES_ID)
    return {"type": "function_call_output", "call_id": identifier, "output": output}
