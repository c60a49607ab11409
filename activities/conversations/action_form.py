"""Tools for models that know none: the model fills the schema of an action.

The schema offers only what remains, since a model that is free to choose among all actions never
ends: the tools that the workflow offers in this turn, without values that were called already
where a tool takes one of a few, and the answer.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from activities.calls.output_formats import response_format as answer_format
from activities.calls.shown_answers import shown_answer
from activities.calls.source_fences import result_tag
from activities.conversations.generation_schema import generation_schema, hoisted
from durable_agent_team.contracts.call import CallRequest
from durable_agent_team.contracts.conversation import Conversation, Entry, ToolCall

ANSWER = "answer"
MAX_DESCRIPTION = 600
"""Characters of a tool's description in the prompt."""


def introduction(call: CallRequest, definitions: Sequence[Mapping[str, Any]]) -> str:
    """The description of the tools, which follows the ask. Small models copy the examples into
    their replies, so every example is valid there."""
    lines = [
        "",
        "",
        "You can use tools before you answer, one at a time, and you see what each returns.",
        'To use a tool, reply with JSON alone: {"action": "its name", "arguments": {}}',
        "The tools:",
    ]
    for each in definitions:
        parameters = json.dumps(generation_schema(each["parameters"]), ensure_ascii=False)
        what = " ".join(str(each["description"]).split())[:MAX_DESCRIPTION]
        lines.append(f"- {each['name']}: {what} Arguments: {parameters}")
    answer = '""' if call.output == "text" else "{}"
    lines.append(f'To answer, reply with JSON alone: {{"action": "answer", "answer": {answer}}}')
    return "\n".join(lines)


def action_messages(call: CallRequest, conversation: Conversation) -> Iterator[dict[str, Any]]:
    """Actions as the model wrote them, and their results as messages of the user."""
    for number, entry in enumerate(conversation.entries):
        yield from _messages(call, entry, number)


def _messages(call: CallRequest, entry: Entry, number: int) -> Iterator[dict[str, Any]]:
    if entry.turn is not None:
        yield {"role": "assistant", "content": "\n".join(map(_action, entry.turn.calls))}
    if entry.results:
        tag = result_tag(call, number)
        results = [
            f"Result of {each.name}:\n<result-{tag}>\n{each.text}\n</result-{tag}>"
            for each in entry.results
        ]
        yield {"role": "user", "content": "\n\n".join(results)}
    if entry.said is not None:
        said = entry.said
        text = shown_answer(said.text) if said.role == "assistant" else said.text
        yield {"role": said.role, "content": text}


def _action(call: ToolCall) -> str:
    try:
        arguments = json.loads(call.arguments)
    except (ValueError, RecursionError):
        arguments = {}
    return json.dumps({"action": call.name, "arguments": arguments}, ensure_ascii=False)


def response_format(
    call: CallRequest, conversation: Conversation, definitions: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """The format that holds the model to an action that remains, or to the answer."""
    branches = [
        branch
        for each in definitions
        if conversation.offered is None or each["name"] in conversation.offered
        if (branch := _tool_branch(each, conversation)) is not None
    ]
    if not conversation.must_act or not branches:
        branches.append(_branch(ANSWER, ANSWER, _answer_schema(call)))
    shape, shared = hoisted(branches)
    schema = shape[0] if len(shape) == 1 else {"anyOf": shape}
    return {
        "type": "json_schema",
        "json_schema": {"name": "action", "schema": {**schema, **shared}},
    }


def _answer_schema(call: CallRequest) -> dict[str, Any]:
    held_to = answer_format(call)
    if held_to is None:
        return {"type": "string", "minLength": 1}
    schema: dict[str, Any] = held_to["json_schema"]["schema"]
    return schema


def _tool_branch(tool: Mapping[str, Any], conversation: Conversation) -> dict[str, Any] | None:
    """None where every value that the tool takes was called already."""
    parameters = generation_schema(tool["parameters"])
    name, values = _one_of_a_few(parameters)
    if name is not None:
        used = _called_with(conversation, tool["name"], name)
        left = [value for value in values if json.dumps(value) not in used]
        if not left:
            return None
        properties = {name: {**parameters["properties"][name], "enum": left}}
        parameters = {**parameters, "properties": properties}
    return _branch(tool["name"], "arguments", parameters)


def _branch(action: str, field: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"action": {"const": action}, field: schema},
        "required": ["action", field],
        "additionalProperties": False,
    }


def _one_of_a_few(parameters: Mapping[str, Any]) -> tuple[str | None, list[Any]]:
    """The only argument of a tool, where it is an enumeration, and its values."""
    properties = parameters.get("properties")
    if not isinstance(properties, dict) or len(properties) != 1:
        return None, []
    ((name, schema),) = properties.items()
    values = schema.get("enum") if isinstance(schema, dict) else None
    return (name, values) if isinstance(values, list) and values else (None, [])


def _called_with(conversation: Conversation, tool: str, argument: str) -> set[str]:
    """The values, as JSON, with which the tool was called so far."""
    turns = [entry.turn for entry in conversation.entries if entry.turn is not None]
    made = [call for turn in turns for call in turn.calls if call.name == tool and not call.problem]
    found = set()
    for call in made:
        arguments = json.loads(call.arguments)
        if argument in arguments:
            found.add(json.dumps(arguments[argument]))
    return found
