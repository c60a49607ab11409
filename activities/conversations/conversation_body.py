"""The parts of a turn's body that an answer without tools does not have: messages, tools."""

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from activities.calls.output_formats import output_schema
from activities.calls.shown_answers import shown_answer
from activities.conversations import action_form
from activities.conversations.carried_fields import with_carried
from durable_agent_team.contracts.call import CallRequest
from durable_agent_team.contracts.conversation import Conversation, Entry, ToolCall, Turn

NOT_TAKEN = re.compile(r"[^A-Za-z0-9_-]")
"""Characters that a function's name cannot have, by OpenAI's API reference."""
JSON_ANSWER = "\n\nWhen you answer, answer with JSON alone, by this JSON Schema:\n"


def definitions_of(conversation: Conversation) -> list[dict[str, Any]]:
    """All tools of the agent, as its `ToolBox` has them in full. Not to be changed: it is the same
    list for all turns."""
    assert conversation.box is not None
    assert isinstance(conversation.box.definitions, str)
    return _parsed(conversation.box.definitions)


@lru_cache(maxsize=16)
def _parsed(definitions: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(definitions)
    return found


def introduction(call: CallRequest) -> str:
    """What follows the ask in the first message; it is the same in all turns."""
    conversation = call.conversation
    assert conversation is not None
    if not conversation.native:
        return action_form.introduction(call, definitions_of(conversation))
    schema = output_schema(call.output)
    if schema is None:
        return ""
    return JSON_ANSWER + json.dumps(schema, ensure_ascii=False, separators=(",", ":"))


def conversation_messages(call: CallRequest) -> Iterator[dict[str, Any]]:
    """Everything after the first message."""
    conversation = call.conversation
    assert conversation is not None
    if not conversation.native:
        yield from action_form.action_messages(call, conversation)
        return
    for entry in conversation.entries:
        yield from _messages(entry)


def tool_fields(call: CallRequest) -> dict[str, Any]:
    """`tools` and `tool_choice`, or the `response_format` of an action.

    Several providers refuse a `response_format` together with `tools`, so with tools the first
    message describes the answer's format. Tools are sent even where none may be called: providers
    require the definitions of all tools that the messages contain calls of.
    """
    conversation = call.conversation
    assert conversation is not None
    definitions = definitions_of(conversation)
    if not conversation.native:
        return {"response_format": action_form.response_format(call, conversation, definitions)}
    offered = conversation.offered
    if offered:
        definitions = [each for each in definitions if each["name"] in offered]
    tools = [
        {
            "type": "function",
            "function": {
                "name": each["name"],
                "description": each["description"],
                "parameters": each["parameters"],
            },
        }
        for each in definitions
    ]
    choice = "none" if offered == () else "required" if conversation.must_act else None
    return {"tools": tools, **({"tool_choice": choice} if choice else {})}


def _messages(entry: Entry) -> Iterator[dict[str, Any]]:
    if entry.turn is not None:
        yield _turn_message(entry.turn)
    for result in entry.results:
        yield {"role": "tool", "tool_call_id": result.id, "content": result.text}
    if entry.said is not None:
        said = entry.said
        text = shown_answer(said.text) if said.role == "assistant" else said.text
        yield {"role": said.role, "content": text}


def _turn_message(turn: Turn) -> dict[str, Any]:
    message: dict[str, Any] = {
        "role": "assistant",
        "content": turn.content or None,
        "tool_calls": [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": _name(call.name), "arguments": _arguments(call)},
            }
            for call in turn.calls
        ],
    }
    return with_carried(message, turn.carried)


def _name(name: str) -> str:
    """As the model spelt it, in the characters that providers take."""
    return NOT_TAKEN.sub("_", name)[:64] or "unknown"


def _arguments(call: ToolCall) -> str:
    """Providers parse the arguments that are sent back: anything but an object becomes `{}`."""
    if call.problem:
        try:
            if not isinstance(json.loads(call.arguments), dict):
                return "{}"
        except (ValueError, RecursionError):
            return "{}"
    return call.arguments
