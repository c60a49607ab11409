"""Reads what a server says of its tools: which it has, and whether one has changed."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from activities.tools.mcp.called_result import plain_text
from durable_agent_team.contracts.bounded_text import cut
from durable_agent_team.contracts.schema_size import MAX_DEPTH
from durable_agent_team.contracts.tool_kinds import MAX_TOOL_NAME, Effects
from durable_agent_team.rules.model_json import is_deeper

MAX_DESCRIPTION: Final = 8_000
MAX_SCHEMA_BYTES: Final = 100_000
SAID: Final = frozenset({"description", "title", "default", "examples"})
"""Words of JSON Schema whose values no call needs."""
_LIKE_A_TAG: Final = re.compile("[\U000e0000-\U000e007f\u202a-\u202e\u2066-\u2069]")
"""Characters that nobody sees and models read, and those that turn the direction of a text."""


@dataclass(frozen=True)
class ServerTool:
    """One tool, as its server describes it."""

    name: str
    description: str
    """Without characters that nobody sees; at most `MAX_DESCRIPTION` of them."""
    parameters: dict[str, Any]
    hinted: Effects
    """What its hints say of its effects. A server may say anything."""
    sha256: str
    """The hash of what the server sent, before anything was cut."""


def server_tool(described: Mapping[str, Any]) -> ServerTool | None:
    """The tool; None where there is none that a model can call."""
    name, schema = described.get("name"), described.get("inputSchema")
    if not isinstance(name, str) or not 0 < len(name) <= MAX_TOOL_NAME:
        return None
    if not isinstance(schema, dict) or schema.get("type") != "object":
        return None
    description = described.get("description")
    description = description if isinstance(description, str) else ""
    if is_deeper(schema, MAX_DEPTH):
        return None
    try:
        said = json.dumps([name, description, schema], sort_keys=True, allow_nan=False)
        json.dumps(schema, ensure_ascii=False).encode()
    except ValueError:  # NaN, a number of thousands of digits, half of a surrogate pair
        return None
    if len(said) > MAX_SCHEMA_BYTES + 4 * MAX_DESCRIPTION:
        return None
    shown = _LIKE_A_TAG.sub("", plain_text(description))
    return ServerTool(
        name=name,
        description=cut(shown, MAX_DESCRIPTION),
        parameters=schema,
        hinted=hinted_effects(described.get("annotations")),
        sha256=hashlib.sha256(said.encode()).hexdigest(),
    )


def without_secrets(tool: ServerTool, scrub: Callable[[str], str]) -> ServerTool:
    """The tool as histories and models may see it: a default, for one, may be read from the
    server's environment. Names and choices stay, since calls need them as they are."""
    parameters = {key: _scrubbed(key, value, scrub) for key, value in tool.parameters.items()}
    return replace(tool, description=scrub(tool.description), parameters=parameters)


def _scrubbed(key: str, value: Any, scrub: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {each: _scrubbed(each, inner, scrub) for each, inner in value.items()}
    if isinstance(value, list):
        return [_scrubbed(key, inner, scrub) for inner in value]
    return scrub(value) if isinstance(value, str) and key in SAID else value


def hinted_effects(hints: Any) -> Effects:
    """By the specification's defaults: not read-only, not idempotent."""
    if isinstance(hints, Mapping):
        if hints.get("readOnlyHint") is True:
            return Effects.NONE
        if hints.get("idempotentHint") is True:
            return Effects.IDEMPOTENT
    return Effects.ONCE


def without_key_argument(schema: dict[str, Any], name: str | None) -> dict[str, Any]:
    """The schema as the model sees it, where the worker fills in one argument."""
    properties = schema.get("properties")
    if name is None or not isinstance(properties, dict) or name not in properties:
        return schema
    kept = {each: value for each, value in properties.items() if each != name}
    shown = {**schema, "properties": kept}
    if isinstance(schema.get("required"), list):
        shown["required"] = [each for each in schema["required"] if each != name]
        if not shown["required"]:
            del shown["required"]
    return shown
