"""Turns of a conversation as the workflow sends them."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from durable_agent_team.contracts.call import CallRequest
from durable_agent_team.contracts.conversation import Conversation, Entry, ToolMessage, Turn
from durable_agent_team.contracts.tool_box import ToolBox, ToolDefinition, ToolFacts
from durable_agent_team.contracts.tool_kinds import Effects
from durable_agent_team.rules.tools.conversation_hash import extended, head_hash
from tests.activities.support import call

LOOK = {
    "type": "object",
    "properties": {"order": {"type": "string"}, "lines": {"type": "integer"}},
    "required": ["order"],
    "additionalProperties": False,
}
PICK = {
    "type": "object",
    "properties": {"name": {"enum": ["a.md", "b.md"]}},
    "required": ["name"],
}


def box(**schemas: Any) -> ToolBox:
    """Tools of these names and schemas; by default `look` and `pick`."""
    named = schemas or {"look": LOOK, "pick": PICK}
    definitions = [
        ToolDefinition(name=name, description=f"Does {name}.", parameters=schema).model_dump()
        for name, schema in named.items()
    ]
    text = json.dumps(definitions)
    facts = [
        ToolFacts(
            name=name,
            entry=number,
            own_name=name,
            source=name,
            effects=Effects.NONE,
            sha256=hashlib.sha256(name.encode()).hexdigest(),
        )
        for number, name in enumerate(named)
    ]
    return ToolBox(
        tools=tuple(facts), definitions=text, sha256=hashlib.sha256(text.encode()).hexdigest()
    )


def turn(
    entries: Sequence[Entry] = (), tools: ToolBox | None = None, **changes: Any
) -> CallRequest:
    """A turn in its whole form, with the right hash. `changes` are of the call, or of the
    conversation."""
    own = {name: changes.pop(name) for name in list(changes) if name in Conversation.model_fields}
    plain = call(**changes)
    tools = tools or box()
    native = own.get("native", True)
    turns = sum(1 for each in entries if each.turn is not None)
    head = head_hash(plain, tools.sha256, native=native)
    said = Conversation(
        id="conversation-1",
        entries=tuple(entries),
        whole=extended(head, entries),
        box=tools,
        prompt_bytes=1_000,
        **{"turn": turns + 1, **own},
    )
    return call(**changes, conversation=said)


def answered(said: Turn, *texts: str) -> tuple[Entry, Entry]:
    """A turn and the results of its calls."""
    pairs = zip(said.calls, texts, strict=False)
    results = [ToolMessage(id=each.id, name=each.name[:200], text=text) for each, text in pairs]
    return Entry(turn=said), Entry(results=tuple(results))
