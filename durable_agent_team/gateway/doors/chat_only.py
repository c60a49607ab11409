"""What a chat request translated from another door contains that chat completions do not have.

At an upstream that speaks Messages it is sent on. At any other, each of these is refused by name,
or written in the words that a chat has for it.
"""

from collections.abc import Collection

from durable_agent_team.gateway.api_error import invalid
from durable_agent_team.gateway.doors.fields import Json
from durable_agent_team.gateway.doors.reasoning_details import DETAILS
from durable_agent_team.gateway.doors.thinking import BLOCKS, TEXTS, unsigned_text

FIELDS = frozenset({"thinking", "output_format", "cache_control"})
"""Further fields of a request."""
RESPONSES = frozenset({DETAILS, "phase"})
"""Fields of an earlier answer from an upstream that speaks Responses."""
ERROR = "Error: "
"""Before the text of a tool's result that is one."""


def in_chat_terms(
    data: Json,
    upstream: str,
    parameters: tuple[str, ...] = (),
    returns: Collection[str] | None = None,
    *,
    responses: bool = False,
) -> Json:
    """For an upstream that speaks chat completions, or Responses. `parameters` are further fields
    that it takes, `returns` the fields of thinking that it wants back in a chat.

    Otherwise the thinking of earlier answers is left out: it has no place in a chat, and providers
    leave it out of the prompt, too. Raises ApiError for what would be lost.
    """
    upstream += " speaks OpenAI's Responses" if responses else " speaks chat completions"
    wanted = RESPONSES if responses else frozenset(returns or ())
    messages = [_message(each, upstream, wanted, responses) for each in data["messages"]]
    sent = {**data, "messages": messages}
    if "cache_control" in sent and "cache_control" not in parameters:
        raise _refused("cache_control", upstream)
    if any("cache_control" in tool for tool in sent.get("tools", [])):
        raise _refused("tools: cache_control", upstream)
    thinking = sent.get("thinking") or {}
    if thinking.get("type") == "adaptive" and "thinking" not in parameters:
        del sent["thinking"]  # the model decides, as without it
    elif thinking and "thinking" not in parameters:
        remedy = "send `output_config.effort` instead of a budget"
        raise _refused("thinking", upstream, remedy)
    if shape := sent.pop("output_format", None):
        named = {"name": "answer", **shape}
        sent["response_format"] = {"type": "json_schema", "json_schema": named}
    return sent


def _message(message: Json, upstream: str, wanted: frozenset[str], responses: bool) -> Json:
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    calls = message.get("tool_calls") or []
    if any("cache_control" in each for each in (message, *parts, *calls)):
        raise _refused("cache_control", upstream)
    only_text = message.get("role") == "tool" and not responses
    if only_text and any(part["type"] != "text" for part in parts):
        remedy = "only texts are results of tools there; send an image in a message of the user"
        raise _refused("tool_result: image", upstream, remedy)
    dropped = {BLOCKS, "is_error"} | (RESPONSES - wanted)
    kept = {name: value for name, value in message.items() if name not in dropped}
    field = next((each for each in TEXTS if each in wanted), None)
    if field is not None and (said := unsigned_text(message.get(BLOCKS))):
        kept[field] = said
    if message.get("is_error"):
        kept["content"] = _as_error(content)
    return kept


def _as_error(content: object) -> object:
    if isinstance(content, list):
        return [{"type": "text", "text": ERROR}, *content]
    return f"{ERROR}{content}"


def _refused(field: str, upstream: str, remedy: str = "leave it out") -> Exception:
    return invalid(
        f"`{field}` would be lost: the upstream {upstream}, which have no such thing; {remedy}",
        "unsupported_parameter",
    )
