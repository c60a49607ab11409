"""The messages to a remote agent: the task, a failed check's reasons, a person's answer. Pure."""

import hashlib
import json
import uuid
from collections.abc import Iterator
from typing import Any, Final

from activities.calls.output_formats import output_schema
from activities.calls.request_body import messages
from activities.programs.remote.wire import Outgoing
from durable_agent_team.contracts.program import ProgramCall

MAX_SCHEMA: Final = 20_000
"""Characters of a schema that is in the text; the data part has any."""


def message_id(call: ProgramCall, ended: int, about: str) -> str:
    """A UUID, the same in each attempt, so that a server which knows it does nothing twice.
    `ended` counts the tasks of this execution that ended without an answer: the next is another."""
    named = json.dumps([call.scope, call.execution, ended, about], ensure_ascii=False)
    digest = hashlib.sha256(named.encode("utf-8", "replace")).digest()
    return str(uuid.UUID(bytes=digest[:16], version=5))


def task_message(call: ProgramCall, ended: int, *, with_data: bool) -> Outgoing:
    """The whole task, with a person's answer to a question of a task that is over there."""
    texts = ["\n\n".join(_paragraphs(call))]
    if call.reply:
        texts.append(f"You asked a question about this task. The answer:\n{call.reply}")
    return Outgoing(
        message_id(call, ended, "task"), tuple(texts), _data(call) if with_data else None
    )


def repair_message(call: ProgramCall, ended: int, *, with_data: bool) -> Outgoing:
    """Why the answer was rejected, for an agent that has the task in the same context."""
    *_, reasons = messages(call.call)
    text = reasons["content"]
    return Outgoing(message_id(call, ended, "repair"), (text,), _data(call) if with_data else None)


def reply_message(call: ProgramCall, reply: str) -> Outgoing:
    """A person's answer, as the person wrote it."""
    return Outgoing(message_id(call, 0, f"reply {reply}"), (reply,))


def wants_json(call: ProgramCall) -> bool:
    return output_schema(call.call.output) is not None


def _paragraphs(call: ProgramCall) -> Iterator[str]:
    """What a model would get, as one text: role, inputs, ask, and a rejected answer with its
    reasons."""
    for message in messages(call.call):
        is_answer = message["role"] == "assistant"
        yield f"Your answer before:\n{message['content']}" if is_answer else message["content"]
    schema = output_schema(call.call.output)
    if schema is not None:
        text = json.dumps(schema, ensure_ascii=False, separators=(",", ":"))
        shown = f" that follows this JSON Schema:\n{text}" if len(text) <= MAX_SCHEMA else ""
        yield f"Answer with JSON alone{shown or ', as the data part of this message says'}"


def _data(call: ProgramCall) -> dict[str, Any]:
    """The same for a program: without the texts of the inputs, which are in the text part."""
    request = call.call
    data: dict[str, Any] = {
        "task": request.task,
        "agent": request.account.agent,
        "role": call.role,
        "ask": request.ask,
        "inputs": [source.name for source in request.sources],
        "missing": list(request.missing),
        "output": request.output,
    }
    if request.rejected is not None:
        data["rejected"] = {"reasons": list(request.rejected.reasons)}
    return data
