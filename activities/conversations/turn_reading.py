"""What a model says in a turn: the calls that it asks for, or its answer.

Each call is checked here. One that names an unknown tool, or whose arguments are not JSON, do not
match the tool's schema or are too large, gets a `problem`: the model reads it as the result.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from activities.calls.answer_reading import Reading
from activities.conversations.action_form import ANSWER
from activities.conversations.carried_fields import carried_fields
from activities.conversations.conversation_body import definitions_of
from activities.conversations.leaked_calls import leaked_call
from activities.judging.judge import Judge
from durable_agent_team.contracts.bounded_text import cut, is_storable
from durable_agent_team.contracts.call import CallRequest
from durable_agent_team.contracts.conversation import (
    MAX_ARGUMENTS,
    MAX_CALLS_IN_A_TURN,
    MAX_SAID,
    Conversation,
    ToolCall,
    Turn,
)
from durable_agent_team.contracts.tool_kinds import MAX_TOOL_NAME
from durable_agent_team.providers.finish_reasons import Ending
from durable_agent_team.rules import model_json
from durable_agent_team.rules.json_in_text import json_answer, once
from durable_agent_team.rules.safe_text import is_blank

CALL_NUMBER = re.compile(r":[0-9]{1,4}$")
MAX_ID = 200
MAX_PROBLEM = 2_000
MAX_SHOWN = 1_000
"""Characters of a schema, or of wrong arguments, in a problem."""
MUST_ACT = "Call a tool first: {names} must succeed before you answer."
MUST_ANSWER = "No tool can be called any more. Answer now, from what you know."
AS_TEXT = (
    "The answer has a call of a tool as text ({mark}), so no tool was called: the model's server"
    " does not read its calls. Use the tools of the request, or answer without this markup."
)


@dataclass(frozen=True)
class Spoken:
    """What a turn led to: calls, or an answer that is checked as every other, or a reason why it is
    neither."""

    turn: Turn | None = None
    answer: str = ""
    problem: str = ""


@dataclass(frozen=True)
class _Asked:
    """A call as the model asked for it, before it is checked."""

    id: str
    name: str
    arguments: Any


async def spoken(
    call: CallRequest, message: Mapping[str, Any], reading: Reading, judge: Judge
) -> Spoken:
    """`message` is the model's own, `reading` what it says without its calls."""
    conversation = call.conversation
    assert conversation is not None
    if conversation.native:
        asked = _asked_natively(message)
        answer = reading.answer
    else:
        asked, answer, problem = _acted(reading.answer)
        if problem:
            return Spoken(answer=reading.answer, problem=problem)
    if not asked:
        if conversation.must_act and reading.ending is not Ending.REFUSAL:
            names = " or ".join(conversation.offered or ("one",))
            return Spoken(answer=answer, problem=MUST_ACT.format(names=names))
        if conversation.native:
            known = [each["name"] for each in definitions_of(conversation)]
            if mark := leaked_call(answer, known):
                return Spoken(answer=answer, problem=AS_TEXT.format(mark=mark))
        return Spoken(answer=answer)
    if conversation.offered == ():
        return Spoken(answer=answer, problem=MUST_ANSWER if is_blank(answer) else "")
    checked = await _checked(conversation, asked, reading, judge)
    content = cut(answer, MAX_SAID) if conversation.native else ""
    ids = [each.id for each in checked]
    optional = {
        "content": content,
        "carried": carried_fields(message, ids) if conversation.native else "",
        "as_actions": not conversation.native,
    }
    given = {name: value for name, value in optional.items() if value}
    return Spoken(turn=Turn(calls=tuple(checked), **given))


def _asked_natively(message: Mapping[str, Any]) -> list[_Asked]:
    """The calls of OpenAI's `tool_calls`; some servers give the arguments as an object."""
    found = message.get("tool_calls")
    if not found and isinstance(message.get("function_call"), Mapping):  # its older name
        found = [{"function": message["function_call"]}]
    asked = []
    for each in found if isinstance(found, list) else []:
        function = each.get("function") if isinstance(each, Mapping) else None
        function = function if isinstance(function, Mapping) else {}
        own_id = each.get("id") if isinstance(each, Mapping) else None
        name = function.get("name")
        arguments = function.get("arguments")
        asked.append(
            _Asked(
                id=own_id if isinstance(own_id, str) else "",
                name=name if isinstance(name, str) else "",
                arguments="{}" if arguments in (None, "") else arguments,
            )
        )
    return asked[:MAX_CALLS_IN_A_TURN]


def _acted(text: str) -> tuple[list[_Asked], str, str]:
    """The action that a model without tools has written: its call, or its answer, or what is wrong
    with it."""
    try:
        value = model_json.parse(json_answer(text, {"type": "object"}), unique_keys=True)
    except ValueError as error:
        return [], "", f"The answer is not JSON ({cut(str(error), 120)}). Answer with JSON alone."
    action = value.get("action") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(action, str):
        return [], "", 'The reply has no "action": name a tool, or "answer".'
    if action != ANSWER or ANSWER not in value:
        return [_Asked("", action, value.get("arguments", {}))], "", ""
    answer = value[ANSWER]
    return [], answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False), ""


async def _checked(
    conversation: Conversation,
    asked: list[_Asked],
    reading: Reading,
    judge: Judge,
) -> list[ToolCall]:
    schemas = {each["name"]: each["parameters"] for each in definitions_of(conversation)}
    used = {
        each.id
        for entry in conversation.entries
        if entry.turn is not None
        for each in entry.turn.calls
    }
    checked = []
    for number, each in enumerate(asked, start=1):
        own_id = each.id if 0 < len(each.id) <= MAX_ID and is_storable(each.id) else ""
        if not own_id or own_id in used:
            own_id = f"call_{conversation.turn}_{number}"
        used.add(own_id)
        checked.append(await _one(replace(each, id=own_id), conversation, schemas, reading, judge))
    return checked


async def _one(
    asked: _Asked,
    conversation: Conversation,
    schemas: Mapping[str, Any],
    reading: Reading,
    judge: Judge,
) -> ToolCall:
    name = cut(_plain_name(asked.name, schemas), MAX_TOOL_NAME)
    text, problem = _arguments(asked.arguments, reading)
    if name not in schemas or not _may_call(name, conversation):
        problem = _unknown(name, conversation, schemas)
    elif not problem:
        reasons = await judge.argument_reasons(schemas[name], text)
        if reasons:
            problem = _wrong(name, reasons, schemas[name])
    if not problem:
        return ToolCall(id=asked.id, name=name, arguments=text)
    kept = cut(text, MAX_SHOWN)
    return ToolCall(id=asked.id, name=name, arguments=kept, problem=cut(problem, MAX_PROBLEM))


def _arguments(value: Any, reading: Reading) -> tuple[str, str]:
    """The arguments as JSON, and what is wrong with them."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = once(text)
    if len(text) > MAX_ARGUMENTS:
        return text, (
            f"The arguments have {len(text)} characters, and were not taken; {MAX_ARGUMENTS} are"
            " the most. Send less."
        )
    try:
        parsed = model_json.parse(text, unique_keys=True)
    except ValueError as error:
        why = (
            " They were cut off at the limit of tokens." if reading.ending is Ending.LENGTH else ""
        )
        return text, (
            f"The arguments are not JSON ({cut(str(error), 200)}).{why} They began:"
            f" {cut(text, 200)}\nSend one JSON object."
        )
    if isinstance(parsed, str):  # some models write JSON in JSON
        inner = _inner(parsed)
        if inner is not None:
            return inner, ""
    if not isinstance(parsed, dict):
        return text, f"The arguments are {cut(text, 200)}. Send one JSON object."
    return text, ""


def _inner(text: str) -> str | None:
    """The object that is written as JSON in a JSON text; None where it is none."""
    try:
        return text if isinstance(model_json.parse(text, unique_keys=True), dict) else None
    except ValueError:
        return None


def _plain_name(name: str, schemas: Mapping[str, Any]) -> str:
    """Without what gpt-oss and Kimi write around it, where a tool of that name exists:
    `functions.look`, `functions.look:0`, `look<|channel|>json`."""
    plain = name.partition("<|")[0].strip().removeprefix("functions.")
    plain = CALL_NUMBER.sub("", plain)
    return plain if name not in schemas and plain in schemas else name


def _may_call(name: str, conversation: Conversation) -> bool:
    return conversation.offered is None or name in conversation.offered


def _unknown(name: str, conversation: Conversation, schemas: Mapping[str, Any]) -> str:
    names = [each for each in schemas if _may_call(each, conversation)]
    what = f"{name!r} cannot be called now" if name in schemas else f"There is no tool {name!r}"
    return f"{what}. The tools are: {', '.join(names)}."


def _wrong(name: str, reasons: tuple[str, ...], schema: Any) -> str:
    listed = "\n".join(f"- {each}" for each in reasons)
    shown = cut(json.dumps(schema, ensure_ascii=False, separators=(",", ":")), MAX_SHOWN)
    return f"{name} was not called. Its arguments are wrong:\n{listed}\nTheir JSON Schema: {shown}"
