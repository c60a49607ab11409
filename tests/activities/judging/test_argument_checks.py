"""Arguments that a person wrote are checked as a model's are."""

import json
from typing import Any

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
        ("{}", "At the arguments: 'usd' is a required property"),
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


async def test_the_schema_of_a_tool_is_checked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """That takes a hundred times as long as the check of a call's arguments."""
    checked: list[str] = []
    monkeypatch.setattr("activities.judging.judge.check_schema", checked.append)
    judge = Judge()
    for usd, reasons in ((5, 0), (500, 1), (7, 0)):
        assert len(await judge.argument_reasons(SCHEMA, json.dumps({"usd": usd}))) == reasons
    judge.close()
    assert checked == [json.dumps(SCHEMA, sort_keys=True)]


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"usd": {"pattern": "("}}},
        {"properties": {"usd": {"pattern": "^(?P<amount>[0-9]+)(?i)$"}}},
        {"patternProperties": {"*": {}}},
        {"properties": {"usd": {"type": "decimal", "not": {}}}},
        {"properties": {"usd": {"anyOf": 5}}},
        {"properties": {"usd": {"format": "x", "required": 1, "enum": 1}}},
        {"properties": {"usd": {"$ref": "#/$defs/none"}}},
        {"$schema": "https://example.com/drafts/9", "allOf": []},
    ],
    ids=str,
)
async def test_a_tool_whose_schema_is_none_takes_any_arguments(schema: dict[str, Any]) -> None:
    """Servers send such, for example patterns of their own language: the turn is paid by then."""
    judge = Judge()
    assert await judge.argument_reasons({"type": "object", **schema}, '{"usd": "5"}') == ()
    judge.close()


async def test_a_tool_that_is_not_there_is_named() -> None:
    check = ArgumentsCheck(definitions=DEFINITIONS, name="pay", arguments="{}")
    assert "'pay'" in await edited_arguments_problem(check, Texts(NoBlobs()), Judge(), 5)
