"""Writes a checked request in the dialect of its model, just before it is sent.

The client's body is in one form for all models: `max_tokens`, sampling parameters, and a
`response_format` of type `json_schema`. What a model does not know is renamed or left out, and
where nobody holds the model to a schema, the schema is in the prompt.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from durable_agent_team.gateway.calls.returned_messages import returned_messages
from durable_agent_team.gateway.calls.strict_schema import strict_schema
from durable_agent_team.gateway.doors.reasoning_details import DETAILS
from durable_agent_team.gateway.doors.to_messages_request import messages_from_chat
from durable_agent_team.gateway.doors.to_responses_request import responses_from_chat
from durable_agent_team.gateway.models.dialect import Dialect
from durable_agent_team.gateway.models.model import Model

SCHEMA_ASK = (
    "Answer with JSON alone: one value that conforms to this JSON Schema, without a code fence and"
    " without any text before or after it.\n"
)
SYSTEM_ROLES = ("system", "developer")
JSON_ASK = "Answer with one JSON object alone."


def in_dialect(data: Mapping[str, Any], target: Model, limit: int) -> dict[str, Any]:
    """The request as its upstream reads it; `limit` is the most tokens that it may answer."""
    dialect = target.dialect
    sent = {**data, "model": target.upstream_model}
    if "assistant" in [each["role"] for each in sent["messages"]]:
        origin = target.origin if target.speaks == "responses" else None
        sent["messages"] = returned_messages(sent["messages"], dialect, origin)
    if dialect.limit is not None:
        sent = {name: each for name, each in sent.items() if name not in LIMIT_NAMES}
        sent[dialect.limit] = limit
    effort = dialect.tools_effort if sent.get("tools") else None
    effort = effort or dialect.reasoning_effort
    if effort is not None and sent.get("reasoning_effort") is None:
        sent["reasoning_effort"] = effort
    if "response_format" in sent:
        _ask_for_structure(sent, dialect)
    if dialect.system == "user":
        sent["messages"] = list(_without_system(sent["messages"]))
    if dialect.tool_choice is not None and sent.get("tool_choice") not in dialect.tool_choice:
        sent.pop("tool_choice", None)
    for name, other in dialect.rename.items():
        if name in sent:
            sent[other] = sent.pop(name)
    for name in dialect.omit:
        sent.pop(name, None)
    for name, value in dialect.add.items():
        sent.setdefault(name, value)
    return sent


def in_messages(data: Mapping[str, Any], target: Model, limit: int) -> dict[str, Any]:
    """The request for an upstream that speaks Anthropic's Messages. Its dialect applies as far as
    it is not about the names of a chat request. Raises ApiError for what would be lost."""
    omit = tuple(each for each in target.dialect.omit if each not in IN_MESSAGES)
    update = {"omit": omit, "rename": {}, "limit": None, **OWN_CONVERSATION}
    dialect = target.dialect.model_copy(update=update)
    sent = in_dialect(data, replace(target, dialect=dialect), limit)
    return {**target.dialect.add, **messages_from_chat(sent, limit, target.upstream)}


def in_responses(data: Mapping[str, Any], target: Model, limit: int) -> dict[str, Any]:
    """The request for an upstream that speaks OpenAI's Responses, where a model may think and call
    tools at once. Its dialect applies as `in_messages` applies it."""
    update = {"rename": {}, "limit": None, "tools_effort": None, **OWN_CONVERSATION}
    dialect = target.dialect.model_copy(update={**update, "returns": (DETAILS,)})
    sent = in_dialect(data, replace(target, dialect=dialect), limit)
    thinks = dialect.thinking != "none"
    asked = responses_from_chat(sent, limit, target.upstream, thinks=thinks)
    return {**target.dialect.add, **asked}


OWN_CONVERSATION: Mapping[str, Any] = {
    "add": {},
    "returns": ("thinking_blocks",),
    "needs": {},
    "call_needs": {},
    "call_id_length": None,
}
"""What Messages take back: signed blocks. Fields are added to the translated request."""
IN_MESSAGES = frozenset({"reasoning_effort", "user", "stop"})
"""Fields that Anthropic's endpoint for chat completions ignores, and Messages does not."""
LIMIT_NAMES = frozenset({"max_tokens", "max_completion_tokens"})


def _ask_for_structure(sent: dict[str, Any], dialect: Dialect) -> None:
    """A schema that came with `strict` is sent as it is where the upstream knows it: its client has
    written it for that."""
    wanted = sent["response_format"]
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if kind == "json_object" and dialect.structure == "none":
        del sent["response_format"]
        _add_to_prompt(sent, JSON_ASK)
    named = wanted.get("json_schema") if kind == "json_schema" else None
    schema = named.get("schema") if isinstance(named, dict) else None
    if not isinstance(named, dict) or not isinstance(schema, dict):
        return
    structure, in_prompt = dialect.structure, dialect.schema_in_prompt
    if structure == "json_schema_strict" and named.get("strict") is not True:
        strict = strict_schema(schema)
        if strict is None:
            structure = "json_object" if schema.get("type") == "object" else "none"
        else:
            named = {**named, "schema": strict.schema, "strict": True}
            sent["response_format"] = {"type": "json_schema", "json_schema": named}
            in_prompt = in_prompt or strict.loses
    if structure == "json_object" and schema.get("type", "object") != "object":
        structure = "none"  # JSON mode answers with an object whatever is asked
    if structure == "json_object":
        sent["response_format"] = {"type": "json_object"}
    elif structure == "none":
        del sent["response_format"]
    if in_prompt or structure in ("json_object", "none"):
        text = json.dumps(schema, ensure_ascii=False, separators=(",", ":"))
        _add_to_prompt(sent, SCHEMA_ASK + text)


def _without_system(messages: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """What stands under the role of the system begins the next user's message, or is one."""
    waiting: list[Any] = []
    for message in messages:
        if message["role"] in SYSTEM_ROLES:
            waiting += [message["content"]] if message.get("content") else []
            continue
        if waiting and message["role"] == "user":
            message = {**message, "content": _joined([*waiting, message.get("content") or ""])}
        elif waiting:
            yield {"role": "user", "content": _joined(waiting)}
        waiting = []
        yield message
    if waiting:
        yield {"role": "user", "content": _joined(waiting)}


def _joined(contents: list[Any]) -> Any:
    """One content; a text, where all are."""
    if all(isinstance(each, str) for each in contents):
        return "\n\n".join(contents)
    parts = (
        [{"type": "text", "text": each}] if isinstance(each, str) else each for each in contents
    )
    return [part for each in parts for part in each]


def _add_to_prompt(sent: dict[str, Any], text: str) -> None:
    """At the end of the first system message, or as one of its own before the others."""
    messages = list(sent["messages"])
    first = messages[0]
    if first.get("role") in SYSTEM_ROLES:
        content = first.get("content")
        if isinstance(content, list):
            content = [*content, {"type": "text", "text": text}]
        else:
            content = f"{content}\n\n{text}" if content else text
        messages[0] = {**first, "content": content}
    else:
        messages.insert(0, {"role": "system", "content": text})
    sent["messages"] = messages
