"""Arguments that a person wrote are checked as a model's are."""

import json

import pytest

from activities.judging.argument_checks import edited_arguments_problem
from activities.judging.judge import Judge
from durable_agent_team.blobs.store import NoBlobs
from durable_agent_team.blobs.texts import Texts
from durable_agent_team.contracts.arguments_check import ArgumentsCheck

SCHEMA = {
    "type": "object",
    "properties": {"usd": {"type": "number", "maximum": 100}},
    "required": ["usd"],
}
DEFINITIONS = json.dumps([{"name": "refund", "description": "", "parameters": SCHEMA}])


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ('{"usd": 5}', ""),
        ('{"usd": 500}', "usd"),
        ("{}", "usd"),
        ("[5]", "a JSON object is expected"),
        ("{", "no JSON"),
        ('{"usd": 5, "usd": 500}', "no JSON"),
    ],
)
async def test_what_is_wrong_is_named(arguments: str, problem: str) -> None:
    judge = Judge()
    check = ArgumentsCheck(definitions=DEFINITIONS, name="refund", arguments=arguments)
    found = await edited_arguments_problem(check, Texts(NoBlobs()), judge, 5)
    judge.close()
    assert (problem in found) if problem else not found


async def test_a_tool_that_is_not_there_is_named() -> None:
    check = ArgumentsCheck(definitions=DEFINITIONS, name="pay", arguments="{}")
    assert "'pay'" in await edited_arguments_problem(check, Texts(NoBlobs()), Judge(), 5)
