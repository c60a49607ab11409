"""A chat request as a request to OpenAI's Responses API, for upstreams that speak it.

Fields: OpenAI's reference, "Create a model response". Nothing is stored there (`store: false`): a
model's reasoning travels encrypted with the conversation instead. Refuses by name what Responses
cannot express.
"""

from typing import Any

from durable_agent_team.gateway.api_error import ApiError, invalid, shown
from durable_agent_team.gateway.doors.fields import Json, given
from durable_agent_team.gateway.doors.responses_request import ENCRYPTED, LOGPROBS, SAME
from durable_agent_team.gateway.doors.to_responses_items import items_of

TRANSLATED = frozenset(
    {
        *SAME, "messages", "max_tokens", "max_completion_tokens", "stream_options", "tools",
        "tool_choice", "response_format", "reasoning_effort", "verbosity", "logprobs", "n",
    }
)  # fmt: skip
OPTIONS = ("include_obfuscation",)
"""Those of `stream_options` that are kept. A streamed Response always ends with its usage."""
LEAST_TOKENS = 16
"""OpenAI's reference: `max_output_tokens`."""
NEUTRAL = {
    "store": (False,),
    "stop": ([],),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "logit_bias": ({},),
}
"""Values that say what is said without the field."""


def responses_from_chat(chat: Json, max_tokens: int, upstream: str, *, thinks: bool) -> Json:
    """`max_tokens` is the most that the model may answer, its reasoning included; `thinks` whether
    it is asked for its reasoning. Raises ApiError, naming the field."""
    for name in sorted(set(chat) - TRANSLATED):
        value = chat[name]
        if value is not None and value not in NEUTRAL.get(name, ()):
            raise _lost(name, upstream)
    if max_tokens < LEAST_TOKENS:
        remedy = f"`max_tokens` must be at least {LEAST_TOKENS}; got {max_tokens}"
        raise invalid(f"The upstream {upstream} speaks OpenAI's Responses: {remedy}")
    sent = given({name: chat.get(name) for name in SAME})
    sent |= {"input": items_of(chat["messages"], upstream), "store": False}
    sent["max_output_tokens"] = max_tokens
    sent |= _tools(chat, upstream)
    include = [ENCRYPTED] if thinks else []
    include += [LOGPROBS] if chat.get("logprobs") else []
    effort = chat.get("reasoning_effort")
    text = given({"format": _format(chat, upstream), "verbosity": chat.get("verbosity")})
    reasoning = given({"effort": effort})
    options = given({name: (chat.get("stream_options") or {}).get(name) for name in OPTIONS})
    more = {"include": include, "reasoning": reasoning, "text": text, "stream_options": options}
    return sent | {name: value for name, value in more.items() if value}


def _lost(field: str, upstream: str, remedy: str = "leave it out") -> ApiError:
    return invalid(
        f"`{field}` would be lost: the upstream {upstream} speaks OpenAI's Responses, which have no"
        f" such thing; {remedy}",
        "unsupported_parameter",
    )


def _tools(chat: Json, upstream: str) -> Json:
    tools = [_tool(each, f"tools[{n}]") for n, each in enumerate(chat.get("tools") or [])]
    return given(
        {"tools": tools or None, "tool_choice": _choice(chat.get("tool_choice"), upstream)}
    )


def _tool(tool: Json, path: str) -> Json:
    """Responses hold a model to a function's schema unless told otherwise; a chat does not."""
    function = tool.get("function")
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise invalid(f"`{path}.function` must be an object with a `name`")
    return {
        "type": "function",
        "name": function["name"],
        **given({"description": function.get("description")}),
        "parameters": function.get("parameters") or {"type": "object", "properties": {}},
        "strict": function.get("strict") is True,
    }


def _choice(choice: Any, upstream: str) -> Any:
    if choice is None or (isinstance(choice, str) and choice in ("auto", "none", "required")):
        return choice
    function = choice.get("function") if isinstance(choice, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str):
        raise _lost("tool_choice", upstream, f"got {shown(choice)}")
    return {"type": "function", "name": name}


def _format(chat: Json, upstream: str) -> Json | None:
    wanted = chat.get("response_format")
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if wanted is None or kind == "text":
        return None
    if kind == "json_object":
        return {"type": kind}
    named = wanted.get("json_schema") if isinstance(wanted, dict) else None
    if kind != "json_schema" or not isinstance(named, dict):
        raise _lost("response_format", upstream, "send a `json_schema` with its `schema`")
    known = ("schema", "strict", "description")
    named = {name: named.get(name) for name in known} | {"name": named.get("name") or "answer"}
    return {"type": kind, **given(named)}
