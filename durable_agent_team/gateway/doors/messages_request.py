"""A request to Anthropic's `POST /v1/messages` as a chat request.

Fields: Anthropic's API reference, "Create a Message". What only an upstream that speaks Messages
understands (`thinking`, `output_format`, `cache_control`, `thinking_blocks`, `is_error`) is kept
under these names; `chat_only.py` decides what becomes of it at any other upstream.
"""

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
    optional_limit,
    optional_list,
    optional_object,
    optional_text,
    refused,
    text,
)
from durable_agent_team.gateway.doors.messages_blocks import messages_of, text_block

DOOR = "/v1/messages"
SAME = ("model", "max_tokens", "temperature", "top_p", "top_k", "stream")
"""Fields that a chat request has under the same name."""
KNOWN = frozenset(
    {
        *SAME, "messages", "system", "metadata", "stop_sequences", "thinking", "tools",
        "tool_choice", "output_config", "cache_control",
    }
)  # fmt: skip
REMEDIES = {
    "container": "nothing runs at the provider; run code yourself, as a tool",
    "mcp_servers": "a tool that the provider runs costs what nobody can bound; run it yourself",
    "context_management": "shorten `messages` yourself",
    "service_tier": "every call is made at the standard tier",
    "speed": "every call is made at the standard speed",
    "inference_geo": "the operator decides where a model is served",
}
SERVER_TOOL = (
    "only tools with an `input_schema` are served; a tool that the provider runs or defines costs"
    " what nobody can bound. Define it yourself"
)


def chat_from_messages(data: Json) -> Json:
    """Raises ApiError, naming the field, for what is wrong or has no counterpart."""
    check_known(data, KNOWN, REMEDIES, DOOR)
    if optional_limit(data, "max_tokens") is None:
        raise invalid("`max_tokens` is missing: it bounds what the answer costs")
    flag(data, "stream")
    chat = given({name: data.get(name) for name in SAME})
    chat["messages"] = _system(data) + messages_of(data.get("messages"), DOOR)
    chat |= given({"stop": data.get("stop_sequences") or None, "user": _user(data)})
    chat |= given({"thinking": _thinking(data), "cache_control": data.get("cache_control")})
    chat |= _tools(data) | _output(data)
    if data.get("stream"):
        chat["stream_options"] = {"include_usage": True}
    return chat


def _system(data: Json) -> list[Json]:
    value = data.get("system")
    if value is None:
        return []
    if isinstance(value, str):
        return [{"role": "system", "content": value}]
    blocks = as_list(value, "system")
    parts = [
        text_block(as_object(b, f"system[{n}]"), f"system[{n}]", DOOR) for n, b in enumerate(blocks)
    ]
    return [{"role": "system", "content": parts}] if parts else []


def _user(data: Json) -> str | None:
    metadata = optional_object(data, "metadata")
    check_known(metadata, {"user_id"}, {}, DOOR, "metadata")
    return optional_text(metadata, "user_id", "metadata")


def _thinking(data: Json) -> Json | None:
    """`disabled` is what a request without the field says."""
    config = optional_object(data, "thinking")
    if not config:
        return None
    check_known(config, {"type", "budget_tokens", "display"}, {}, DOOR, "thinking")
    kind = one_of(config.get("type"), ("enabled", "disabled", "adaptive"), "thinking.type")
    return None if kind == "disabled" else given(config)


def _output(data: Json) -> Json:
    config = optional_object(data, "output_config")
    check_known(config, {"effort", "format"}, {}, DOOR, "output_config")
    found = given({"reasoning_effort": optional_text(config, "effort", "output_config")})
    wanted = optional_object(config, "format", "output_config")
    if wanted:
        path = "output_config.format"
        check_known(wanted, {"type", "schema"}, {}, DOOR, path)
        one_of(wanted.get("type"), ("json_schema",), f"{path}.type")
        found["output_format"] = {"schema": as_object(wanted.get("schema"), f"{path}.schema")}
    return found


def _tools(data: Json) -> Json:
    tools = [_tool(each, f"tools[{n}]") for n, each in enumerate(optional_list(data, "tools"))]
    found: Json = {"tools": tools} if tools else {}
    config = optional_object(data, "tool_choice")
    if not config:
        return found
    known = {"type", "name", "disable_parallel_tool_use"}
    check_known(config, known, {}, DOOR, "tool_choice")
    kind = one_of(config.get("type"), ("auto", "any", "tool", "none"), "tool_choice.type")
    if flag(config, "disable_parallel_tool_use", "tool_choice"):
        found["parallel_tool_calls"] = False
    if kind == "tool":
        function = {"name": text(config, "name", "tool_choice")}
        return {**found, "tool_choice": {"type": "function", "function": function}}
    return {**found, "tool_choice": {"auto": "auto", "any": "required", "none": "none"}[kind]}


def _tool(value: Any, path: str) -> Json:
    tool = as_object(value, path)
    kind = tool.get("type")
    if kind not in (None, "custom"):
        raise refused(f"{path}.type", DOOR, f"{SERVER_TOOL}; got {shown(kind)}")
    known = {"type", "name", "description", "input_schema", "strict", "cache_control"}
    check_known(tool, known, {}, DOOR, path)
    function = {
        "name": text(tool, "name", path),
        "description": optional_text(tool, "description", path),
        "parameters": as_object(tool.get("input_schema"), f"{path}.input_schema"),
        "strict": flag(tool, "strict", path),
    }
    cached = given({"cache_control": tool.get("cache_control")})
    return {"type": "function", "function": given(function), **cached}
