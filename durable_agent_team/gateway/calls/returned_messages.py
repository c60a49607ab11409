"""Writes what models said before as the upstream takes it back: its own thinking, no other's.

Thinking between calls of tools stands in fields that each provider has for itself. The one that
gave it wants it back unchanged; others answer an unknown field with a 400 or a 422. A conversation
can move between providers, such as to a model that is cheaper.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from durable_agent_team.gateway.doors.call_ids import fitting_id
from durable_agent_team.gateway.doors.reasoning_details import DETAILS, details_from
from durable_agent_team.gateway.models.dialect import Dialect

Json = dict[str, Any]
FIELDS = frozenset(
    {
        "reasoning_content",
        "reasoning",
        DETAILS,
        "thinking_blocks",
        "extra_content",
        "provider_specific_fields",
    }
)
"""They can be in a message or in one of its calls."""
PHASE = "phase"
"""How OpenAI's Responses label a message: no chat has it."""
PART = "thinking"
"""The type of a part of Mistral's content that holds thinking."""


def returned_messages(
    messages: Sequence[Json], dialect: Dialect, origin: str | None = None
) -> list[Json]:
    """The same messages where nothing is to be changed. `origin` is that of a model which is called
    over Responses: only its own reasoning goes there, and nowhere else."""
    found = [_own(each, origin) if each["role"] == "assistant" else each for each in messages]
    if not (dialect.needs or dialect.call_needs or dialect.call_id_length) and (
        dialect.returns is None
    ):
        return found
    for number, message in enumerate(found):
        role = message["role"]
        if role == "assistant":
            found[number] = _said(message, dialect)
        elif role == "tool" and dialect.call_id_length is not None:
            found[number] = _with_id(message, "tool_call_id", dialect.call_id_length)
    return found


def _own(message: Json, origin: str | None) -> Json:
    """Without what another model said over Responses."""
    if DETAILS not in message and PHASE not in message:
        return message
    own = {
        DETAILS: details_from(origin, message.get(DETAILS)),
        PHASE: origin and message.get(PHASE),
    }
    kept = {name: each for name, each in message.items() if name not in own}
    return kept | {name: each for name, each in own.items() if each}


def _said(message: Json, dialect: Dialect) -> Json:
    said = _kept(message, dialect)
    content = said.get("content")
    if dialect.returns is not None and PART not in dialect.returns and isinstance(content, list):
        said["content"] = [part for part in content if part.get("type") != PART] or None
    calls = said.get("tool_calls")
    if not isinstance(calls, list) or not calls:
        return said
    calls = [_kept(call, dialect) if isinstance(call, dict) else call for call in calls]
    if dialect.call_id_length is not None:
        calls = [
            _with_id(call, "id", dialect.call_id_length) if isinstance(call, dict) else call
            for call in calls
        ]
    if dialect.call_needs and not any(_has(call, dialect.call_needs) for call in calls):
        calls[0] = {**calls[0], **dialect.call_needs}
    missing = {name: each for name, each in dialect.needs.items() if said.get(name) is None}
    return {**said, **missing, "tool_calls": calls}


def _kept(value: Json, dialect: Dialect) -> Json:
    if dialect.returns is None:
        return value
    dropped = FIELDS.difference(dialect.returns)
    return {name: each for name, each in value.items() if name not in dropped}


def _has(call: Any, needs: Mapping[str, Any]) -> bool:
    return isinstance(call, dict) and all(call.get(name) is not None for name in needs)


def _with_id(value: Json, field: str, length: int) -> Json:
    identifier = value.get(field)
    if not isinstance(identifier, str):
        return value
    return {**value, field: fitting_id(identifier, _pattern(length), length)}


@cache
def _pattern(length: int) -> re.Pattern[str]:
    return re.compile(f"[a-zA-Z0-9]{{{length}}}")
