"""A chat request as a request to Anthropic's Messages API, for upstreams that speak it.

Refuses by name what Messages cannot express. Left out are only labels that change no answer
(`metadata`, `prompt_cache_key`), and the thinking of other providers' models.
"""

from typing import Any

from durable_agent_team.gateway.api_error import ApiError, invalid, shown
from durable_agent_team.gateway.doors.fields import Json, as_object, given
from durable_agent_team.gateway.doors.to_messages_blocks import split_messages

EFFORTS = ("low", "medium", "high", "xhigh", "max")
SAME = ("model", "temperature", "top_p", "top_k", "stream", "thinking", "cache_control")
TRANSLATED = frozenset(
    {
        *SAME, "messages", "max_tokens", "max_completion_tokens", "stop", "stream_options", "tools",
        "tool_choice", "parallel_tool_calls", "response_format", "output_format",
        "reasoning_effort", "user", "safety_identifier", "n",
    }
)  # fmt: skip
LABELS = frozenset({"metadata", "prompt_cache_key"})
NEUTRAL = {
    "store": (False,),
    "logprobs": (False,),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "logit_bias": ({},),
}
"""Values that say what is said without the field."""


def messages_from_chat(chat: Json, max_tokens: int, upstream: str) -> Json:
    """`max_tokens` is the most that the model may answer. Raises ApiError, naming the field."""
    for name in sorted(set(chat) - TRANSLATED - LABELS):
        value = chat[name]
        if value is not None and value not in NEUTRAL.get(name, ()):
            raise lost(name, upstream)
    system, messages = split_messages(chat["messages"], upstream)
    sent = given({name: chat.get(name) for name in SAME})
    sent |= {"max_tokens": max_tokens, "messages": messages}
    sent |= given({"system": system or None, "stop_sequences": _stop(chat)})
    sent |= _metadata(chat, upstream) | _tools(chat, upstream) | _output(chat, upstream)
    if chat.get("reasoning_effort") == "none":
        sent["thinking"] = {"type": "disabled"}
    if not messages:
        raise invalid("`messages` needs a message of the user: that is what a model answers to")
    return sent


def lost(field: str, upstream: str, remedy: str = "leave it out") -> ApiError:
    return invalid(
        f"`{field}` would be lost: the upstream {upstream} speaks Anthropic's Messages, which have"
        f" no such thing; {remedy}",
        "unsupported_parameter",
    )


def _stop(chat: Json) -> Any:
    stop = chat.get("stop")
    return [stop] if isinstance(stop, str) else stop or None


def _metadata(chat: Json, upstream: str) -> Json:
    user, safety = chat.get("user"), chat.get("safety_identifier")
    if user is not None and safety is not None and user != safety:
        raise lost("safety_identifier", upstream, "send it or `user`, not both")
    identifier = user if safety is None else safety
    return {} if identifier is None else {"metadata": {"user_id": identifier}}


def _tools(chat: Json, upstream: str) -> Json:
    tools = [_tool(each, f"tools[{n}]") for n, each in enumerate(chat.get("tools") or [])]
    found: Json = {"tools": tools} if tools else {}
    choice = _choice(chat.get("tool_choice"), upstream)
    if chat.get("parallel_tool_calls") is False and tools:
        choice = choice or {"type": "auto"}
        if choice["type"] != "none":
            choice["disable_parallel_tool_use"] = True
    return {**found, "tool_choice": choice} if choice else found


def _tool(tool: Json, path: str) -> Json:
    function = tool.get("function")
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise invalid(f"`{path}.function` must be an object with a `name`")
    made = {
        "name": function["name"],
        "description": function.get("description"),
        "input_schema": function.get("parameters") or {"type": "object"},
        "strict": function.get("strict"),
        "cache_control": tool.get("cache_control"),
    }
    return given(made)


def _choice(choice: Any, upstream: str) -> Json | None:
    if choice is None:
        return None
    if isinstance(choice, str) and choice in ("auto", "none", "required"):
        return {"type": "any" if choice == "required" else choice}
    function = choice.get("function") if isinstance(choice, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str):
        raise lost("tool_choice", upstream, f"got {shown(choice)}")
    return {"type": "tool", "name": name}


def _output(chat: Json, upstream: str) -> Json:
    config: Json = {}
    effort = chat.get("reasoning_effort")
    if effort is not None and effort != "none":
        if effort not in EFFORTS:
            known = ", ".join(EFFORTS)
            raise lost("reasoning_effort", upstream, f"{shown(effort)} is none of {known}, none")
        config["effort"] = effort
    schema = _schema(chat, upstream)
    if schema is not None:
        config["format"] = {"type": "json_schema", "schema": schema}
    return {"output_config": config} if config else {}


def _schema(chat: Json, upstream: str) -> Any:
    """Its `name` and `description` are labels, and Messages holds the model to every schema, as
    `strict` asks."""
    shape = chat.get("output_format")
    if shape is not None:
        return as_object(as_object(shape, "output_format").get("schema"), "output_format.schema")
    wanted = chat.get("response_format")
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if wanted is None or kind == "text":
        return None
    named = wanted.get("json_schema") if isinstance(wanted, dict) else None
    schema = named.get("schema") if isinstance(named, dict) else None
    if kind != "json_schema" or not isinstance(schema, dict):
        raise lost("response_format", upstream, "send a `json_schema` with its `schema`")
    return schema
