"""Checks arguments that a person wrote in the place of a model's."""

import json
from typing import Any

from activities.judging.judge import Judge
from durable_agent_team.blobs.texts import Texts
from durable_agent_team.contracts.arguments_check import ArgumentsCheck
from durable_agent_team.contracts.text_ref import TextRef
from durable_agent_team.rules import model_json


async def edited_arguments_problem(
    check: ArgumentsCheck, texts: Texts, judge: Judge, seconds: float
) -> str:
    """Why the tool would not take them, in words for the person; empty if it would."""
    try:
        arguments = model_json.parse(check.arguments, unique_keys=True)
    except ValueError as error:
        return f"no JSON ({error})"
    if not isinstance(arguments, dict):
        return "a JSON object is expected"
    text = check.definitions
    if isinstance(text, TextRef):
        text = await texts.read(text, seconds)
    schema = _schema_of(check.name, text)
    if schema is None:
        return f"the run's tools have none of the name {check.name!r}"
    return "; ".join(await judge.argument_reasons(schema, check.arguments))


def _schema_of(name: str, definitions: str) -> Any:
    listed = json.loads(definitions)
    return next((each["parameters"] for each in listed if each["name"] == name), None)
