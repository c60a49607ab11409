"""A request to `POST /v1/responses` as a chat request.

Fields: OpenAI's reference of the Responses API, "Create a model response". Served without stored
state: what needs a stored response, a tool that OpenAI hosts, or a background job is refused.
"""

from typing import Any

from durable_agent_team.gateway.api_error import invalid, shown
from durable_agent_team.gateway.doors.fields import (
    Json,
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
from durable_agent_team.gateway.doors.responses_items import messages_of

DOOR = "/v1/responses"
LOGPROBS = "message.output_text.logprobs"
ENCRYPTED = "reasoning.encrypted_content"
STATELESS = (
    "nothing is stored here; send the whole conversation in `input`, as clients do that are told"
    " `store: false`"
)
SAME = (
    "model", "temperature", "top_p", "parallel_tool_calls", "metadata", "user", "safety_identifier",
    "prompt_cache_key", "prompt_cache_retention", "service_tier", "stream", "top_logprobs",
)  # fmt: skip
"""Fields that a chat request has under the same name."""
KNOWN = frozenset(
    {
        *SAME, "input", "instructions", "max_output_tokens", "tools", "tool_choice", "text",
        "reasoning", "include", "store", "truncation", "stream_options", "background",
    }
)  # fmt: skip
REMEDIES = {
    "previous_response_id": STATELESS,
    "conversation": STATELESS,
    "prompt": "prompts are not stored here; send `instructions` and `input`",
    "max_tool_calls": "it limits tools that the provider runs, and none are served here",
    "context_management": "shorten `input` yourself",
    "background_options": "a call is answered while the client waits",
}
HOSTED_TOOL = (
    "only `function` tools are served; a tool that the provider runs costs what nobody can bound."
    " Run it yourself as a function"
)


def chat_from_responses(data: Json) -> Json:
    """Raises ApiError, naming the field, for what is wrong or has no counterpart."""
    check_known(data, KNOWN, REMEDIES, DOOR)
    _check_stateless(data)
    chat = given({name: data.get(name) for name in SAME})
    chat["messages"] = _messages(data)
    limit = optional_limit(data, "max_output_tokens")
    chat |= given({"max_tokens": limit, **_tools(data), **_text(data)})
    chat |= _reasoning(data) | _include(data)
    if data.get("stream"):
        options = optional_object(data, "stream_options")
        check_known(options, {"include_obfuscation"}, {}, DOOR, "stream_options")
        chat["stream_options"] = {**given(options), "include_usage": True}
    return chat


def _check_stateless(data: Json) -> None:
    if flag(data, "store"):
        raise refused("store", DOOR, "nothing is stored here; send false, or leave it out")
    if flag(data, "background"):
        raise refused("background", DOOR, "a call is answered while the client waits")
    if data.get("truncation") not in (None, "disabled"):
        raise refused("truncation", DOOR, "shorten `input` yourself, or send `disabled`")
    flag(data, "stream")


def _messages(data: Json) -> list[Json]:
    instructions = optional_text(data, "instructions")
    found = [] if instructions is None else [{"role": "system", "content": instructions}]
    found += messages_of(data.get("input"), DOOR)
    if not found:
        raise invalid("`input` must be a text or a list of at least one item")
    return found


def _tools(data: Json) -> Json:
    tools = [_tool(each, f"tools[{n}]") for n, each in enumerate(optional_list(data, "tools"))]
    choice = data.get("tool_choice")
    if isinstance(choice, dict):
        kind = choice.get("type")
        if kind != "function":
            raise refused("tool_choice.type", DOOR, f"only `function` is served; got {shown(kind)}")
        choice = {"type": kind, "function": {"name": text(choice, "name", "tool_choice")}}
    elif choice is not None:
        one_of(choice, ("auto", "none", "required"), "tool_choice")
    return {"tools": tools or None, "tool_choice": choice}


def _tool(value: Any, path: str) -> Json:
    tool = as_object(value, path)
    if tool.get("type") != "function":
        message = f"{HOSTED_TOOL}; got {shown(tool.get('type'))}"
        raise refused(f"{path}.type", DOOR, message)
    check_known(tool, {"type", "name", "description", "parameters", "strict"}, {}, DOOR, path)
    function = {name: value for name, value in given(tool).items() if name != "type"}
    text(tool, "name", path)
    return {"type": "function", "function": function}


def _text(data: Json) -> Json:
    """`text.format` and `text.verbosity`."""
    config = optional_object(data, "text")
    check_known(config, {"format", "verbosity"}, {}, DOOR, "text")
    wanted = optional_object(config, "format", "text")
    kind = wanted.get("type", "text")
    one_of(kind, ("text", "json_object", "json_schema"), "text.format.type")
    shape: Json | None = None
    if kind == "json_object":
        shape = {"type": kind}
    elif kind == "json_schema":
        known = {"type", "name", "schema", "strict", "description"}
        check_known(wanted, known, {}, DOOR, "text.format")
        text(wanted, "name", "text.format")
        as_object(wanted.get("schema"), "text.format.schema")
        rest = {name: value for name, value in given(wanted).items() if name != "type"}
        shape = {"type": kind, "json_schema": rest}
    return {"response_format": shape, "verbosity": config.get("verbosity")}


def _reasoning(data: Json) -> Json:
    config = optional_object(data, "reasoning")
    check_known(config, {"effort", "summary", "generate_summary"}, {}, DOOR, "reasoning")
    for name in ("summary", "generate_summary"):
        if config.get(name) not in (None, "auto"):
            remedy = "the model's thinking is passed on as the upstream sends it; send `auto`"
            raise refused(f"reasoning.{name}", DOOR, remedy)
    return given({"reasoning_effort": optional_text(config, "effort", "reasoning")})


def _include(data: Json) -> Json:
    wanted = optional_list(data, "include")
    for number, each in enumerate(wanted):
        one_of(each, (LOGPROBS, ENCRYPTED), f"include[{number}]")
    return {"logprobs": True} if LOGPROBS in wanted or data.get("top_logprobs") else {}
