"""The items of a Responses request's `input` as chat messages."""

from typing import Any

from durable_agent_team.gateway.api_error import invalid, shown
from durable_agent_team.gateway.doors.fields import (
    Json,
    as_list,
    as_object,
    check_known,
    given,
    one_of,
    optional_text,
    refused,
    text,
)
from durable_agent_team.gateway.doors.reasoning_details import DETAILS
from durable_agent_team.gateway.doors.thinking import BLOCKS, unsealed

ROLES = ("user", "assistant", "system", "developer")
UNSERVED_ITEM = (
    "only messages, function_call, function_call_output and reasoning items are served. Send the"
    " conversation without it"
)


def messages_of(value: Any, door: str) -> list[Json]:
    if isinstance(value, str):
        return [{"role": "user", "content": value}]
    messages: list[Json] = []
    thinking: Json = {}
    for number, each in enumerate(as_list([] if value is None else value, "input")):
        path = f"input[{number}]"
        item = as_object(each, path)
        kind = item.get("type") or ("message" if "role" in item else None)
        if kind == "message":
            _add_message(messages, _message(item, path, door), thinking)
        elif kind == "function_call":
            _add_call(messages, _call(item, path, door), thinking)
        elif kind == "function_call_output":
            thinking.clear()  # nothing that the model said follows it
            messages.append(_output(item, path, door))
        elif kind == "reasoning":
            _add_thinking(thinking, item, path, door)
        else:
            raise refused(f"{path}.type", door, f"{UNSERVED_ITEM}; got {shown(kind)}")
    return messages


def _message(item: Json, path: str, door: str) -> Json:
    check_known(item, {"type", "role", "content", "id", "status", "phase"}, {}, door, path)
    role = one_of(item.get("role"), ROLES, f"{path}.role")
    content = item.get("content")
    if not isinstance(content, str):
        content = _parts(content, f"{path}.content", door)
    if role != "assistant":
        return {"role": role, "content": content}
    phase = optional_text(item, "phase", path)
    message: Json = {"role": role, **given({"phase": phase})}
    said = _said(content, path, door) if isinstance(content, list) else {"content": content}
    return {**message, **said}


def _said(parts: list[Json], path: str, door: str) -> Json:
    """An earlier answer: texts, or a refusal, for which a chat message has a field of its own."""
    message: Json = {}
    refusals = [part["refusal"] for part in parts if part["type"] == "refusal"]
    texts = [part for part in parts if part["type"] == "text"]
    if len(refusals) + len(texts) < len(parts):
        raise refused(f"{path}.content", door, "an assistant's message can contain only text")
    if refusals:
        message["refusal"] = "\n".join(refusals)
    if len(texts) == 1:
        message["content"] = texts[0]["text"]
    else:
        message["content"] = texts or None
    return message


def _parts(value: Any, path: str, door: str) -> list[Json]:
    return [_part(each, f"{path}[{n}]", door) for n, each in enumerate(as_list(value, path))]


def _part(value: Any, path: str, door: str) -> Json:
    part = as_object(value, path)
    kind = part.get("type")
    if kind in ("input_text", "output_text", "text"):
        check_known(part, {"type", "text", "annotations", "logprobs"}, {}, door, path)
        return {"type": "text", "text": text(part, "text", path)}
    if kind == "refusal":
        check_known(part, {"type", "refusal"}, {}, door, path)
        return {"type": "refusal", "refusal": text(part, "refusal", path)}
    if kind == "input_image":
        check_known(part, {"type", "image_url", "detail"}, FILE_IDS, door, path)
        image = {"url": text(part, "image_url", path), "detail": part.get("detail")}
        return {"type": "image_url", "image_url": given(image)}
    if kind == "input_file":
        check_known(part, {"type", "file_data", "filename"}, FILE_IDS, door, path)
        file = {"file_data": text(part, "file_data", path), "filename": part.get("filename")}
        return {"type": "file", "file": given(file)}
    known = "input_text, input_image, input_file, output_text, refusal"
    raise invalid(f"`{path}.type` must be one of {known}; got {shown(kind)}", "unsupported_content")


FILE_IDS = {
    "file_id": "files are not stored here; send the content itself, base64 in a data URL",
    "file_url": "a file is not fetched; send its content as `file_data`, base64 in a data URL",
}


def _call(item: Json, path: str, door: str) -> Json:
    known = {"type", "id", "status", "call_id", "name", "arguments"}
    check_known(item, known, {}, door, path)
    function = {"name": text(item, "name", path), "arguments": text(item, "arguments", path)}
    return {"id": text(item, "call_id", path), "type": "function", "function": function}


def _output(item: Json, path: str, door: str) -> Json:
    check_known(item, {"type", "id", "status", "call_id", "output"}, {}, door, path)
    output = item.get("output")
    if not isinstance(output, str):
        output = _parts(output, f"{path}.output", door)
    return {"role": "tool", "tool_call_id": text(item, "call_id", path), "content": output}


def _add_thinking(thinking: Json, item: Json, path: str, door: str) -> None:
    """What a model thought before what follows, sealed by this gateway: only upstreams that speak
    Messages or Responses take it back."""
    known = {"type", "id", "status", "summary", "content", "encrypted_content"}
    check_known(item, known, {}, door, path)
    if item.get("encrypted_content") is None:
        return
    sealed = text(item, "encrypted_content", path)
    blocks, details = unsealed(sealed, f"{path}.encrypted_content")
    for name, found in ((BLOCKS, blocks), (DETAILS, details)):
        if found:
            thinking.setdefault(name, []).extend(found)


def _add_message(messages: list[Json], message: Json, thinking: Json) -> None:
    if message["role"] == "assistant":
        message.update(thinking)
        message.update(_placed(thinking, 0))
    thinking.clear()  # what was thought before a message of the user is of no answer
    messages.append(message)


def _placed(thinking: Json, before: int) -> Json:
    """The reasoning of an upstream that speaks Responses, at its place among an answer's items."""
    details = [{**each, "before": before} for each in thinking.get(DETAILS, [])]
    return {DETAILS: details} if details else {}


def _add_call(messages: list[Json], call: Json, thinking: Json) -> None:
    """Calls of one answer are separate items here, and one message in a chat."""
    last = messages[-1] if messages else {}
    if last.get("role") != "assistant" or BLOCKS in thinking:
        last = {"role": "assistant", "content": None}
        _add_message(messages, last, thinking)
    said = bool(last.get("content") or last.get("refusal"))
    placed = _placed(thinking, said + len(last.get("tool_calls", [])))
    thinking.clear()
    if placed:
        last[DETAILS] = last.get(DETAILS, []) + placed[DETAILS]
    last.setdefault("tool_calls", []).append(call)
