"""Schemas as people write them: each in its draft, with its patterns and formats."""

from typing import Any

import pytest

from durable_agent_team.contracts.output_schema import schema_problem
from durable_agent_team.contracts.schema_drafts import translated
from tests.activities.support import call, check

DRAFT_04 = "http://json-schema.org/draft-04/schema#"
DRAFT_07 = "http://json-schema.org/draft-07/schema#"
DRAFT_2019 = "https://json-schema.org/draft/2019-09/schema"


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"$schema": DRAFT_04, "maximum": 5, "exclusiveMaximum": True}, "4", "5"),
        ({"maximum": 5, "exclusiveMaximum": 5}, "4", "5"),
        ({"$schema": DRAFT_04, "definitions": {"a": {"type": "string"}},
          "properties": {"x": {"$ref": "#/definitions/a"}}}, '{"x": "a"}', '{"x": 1}'),
        ({"$schema": DRAFT_07, "items": [{"type": "string"}, {"type": "integer"}],
          "additionalItems": False}, '["a", 1]', '["a", "b"]'),
        ({"$schema": DRAFT_07, "items": [{"pattern": "^a$"}]}, '["a"]', '["b"]'),
        ({"$schema": DRAFT_07, "dependencies": {"a": ["b"]}}, '{"a": 1, "b": 1}', '{"a": 1}'),
        ({"$schema": DRAFT_2019, "items": [{"type": "string"}]}, '["a"]', "[1]"),
        ({"prefixItems": [{"type": "string"}]}, '["a"]', "[1]"),
        ({"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "string"}, '"a"', "1"),
        ({"$schema": "http://json-schema.org/schema#", "type": "string"}, '"a"', "1"),
        ({"format": "date-time"}, '"2026-11-28T12:00:00Z"', '"tomorrow"'),
        ({"format": "email"}, '"a@b.de"', '"a"'),
        ({"format": "int32"}, "5", "null-is-not-json"),
        ({"$schema": DRAFT_04, "format": "uuid"}, '"2eb8aa08-aa98-11ea-b4aa-73b441d16380"', '"x"'),
        ({"pattern": r"^(?<a>\p{Lu})\k<a>$"}, '"ÄÄ"', '"Aa"'),
        ({"patternProperties": {r"^\d+$": {"type": "integer"}}, "additionalProperties": False},
         '{"12": 1}', '{"١": 1}'),
        ({"properties": {"pattern": {"pattern": r"^\/"}, "patternProperties": {"type": "object"}}},
         '{"pattern": "/a", "patternProperties": {}}', '{"pattern": "a"}'),
    ],
)  # fmt: skip
def test_an_answer_is_checked_as_its_draft_wants(
    schema: dict[str, Any], good: str, bad: str
) -> None:
    assert schema_problem(schema) is None
    assert check(call(output=schema), good) == ()
    assert check(call(output=schema), bad) != ()


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"$schema": "https://example.com/mine"}, "that can be checked (name https://json-"),
        ({"$schema": 7}, "$.$schema: 7 is no draft"),
        ({"$schema": DRAFT_04, "exclusiveMaximum": 5, "maximum": 5}, "this is not a JSON Schema"),
        ({"exclusiveMaximum": True}, "this is not a JSON Schema"),
        ({"properties": {"a": {"pattern": r"\p{Script=Greek}"}}},
         "$.properties.a.pattern: this is not a JSON Schema: '\\\\p{Script=Greek}' is"),
        ({"patternProperties": {"(?<=a+)": {}}}, "a look-behind of one length"),
        ({"pattern": "/^a$/i"}, "for the flag `i` both cases: [Aa])"),
        ({"properties": 7}, "this is not a JSON Schema"),
    ],
)  # fmt: skip
def test_what_cannot_be_checked_is_refused_with_a_remedy(schema: dict[str, Any], told: str) -> None:
    problem = str(schema_problem(schema))
    assert told in problem.replace("output = $.$schema: ", "$.$schema: ")


def test_reasons_name_a_pattern_as_it_is_written() -> None:
    (reason,) = check(call(output={"pattern": r"^\p{L}+$"}), '"1"')
    assert reason == r"At the whole answer: '1' does not match '^\\p{L}+$'"


def test_what_is_data_stays_as_it_is() -> None:
    schema = {
        "enum": [{"pattern": "("}],
        "const": {"pattern": "("},
        "default": {"patternProperties": {"(": 1}},
        "properties": {"pattern": True, "x": {"description": "("}},
    }
    assert translated(schema).schema == schema
