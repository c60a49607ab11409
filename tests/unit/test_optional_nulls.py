"""Nulls for optional properties, as strict structured outputs have them, are dropped."""

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durable_agent_team.gateway.calls.strict_schema import strict_schema
from durable_agent_team.rules.optional_nulls import without_optional_nulls

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "note": {"type": "string"},
        "size": {"type": ["number", "null"]},
        "parts": {"type": "array", "items": {"$ref": "#/$defs/part"}},
        "anything": {},
    },
    "required": ["name"],
    "$defs": {"part": {"type": "object", "properties": {"id": {"type": "string"}}}},
}


@pytest.mark.parametrize(
    ("answer", "kept"),
    [
        ({"name": "a", "note": None}, {"name": "a"}),
        ({"name": None}, {"name": None}),
        ({"name": "a", "size": None}, {"name": "a", "size": None}),
        ({"name": "a", "anything": None}, {"name": "a", "anything": None}),
        ({"name": "a", "other": None}, {"name": "a", "other": None}),
        (
            {"name": "a", "parts": [{"id": None}, {"id": "b"}]},
            {"name": "a", "parts": [{}, {"id": "b"}]},
        ),
    ],
)
def test_a_null_is_dropped_only_where_leaving_it_out_is_what_the_schema_means(
    answer: Any, kept: Any
) -> None:
    assert json.loads(without_optional_nulls(json.dumps(answer), SCHEMA)) == kept


@pytest.mark.parametrize(
    "text", ["null", '{"note": null', '{"note": "null"}', "[" * 5_000 + "null"]
)
def test_anything_else_stays_as_it_is(text: str) -> None:
    assert without_optional_nulls(text, SCHEMA) == text


names = st.sampled_from("abcd")
leaves = st.sampled_from(
    [{"type": "string"}, {"type": "integer"}, {"enum": ["x", "y"]}, {"type": ["number", "null"]}]
)


def objects(inner: Any) -> Any:
    return st.dictionaries(names, inner, min_size=1, max_size=4).flatmap(
        lambda properties: st.lists(st.sampled_from(sorted(properties)), unique=True).map(
            lambda required: {"type": "object", "properties": properties, "required": required}
        )
    )


schemas = objects(
    st.recursive(
        leaves,
        lambda inner: objects(inner) | inner.map(lambda each: {"type": "array", "items": each}),
        max_leaves=6,
    )
)


def conforming(schema: Any) -> Any:
    """Values of a strict schema, with as many nulls as it allows."""
    if "anyOf" in schema:
        return st.one_of([conforming(each) for each in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    made: dict[str, Any] = {
        "null": st.none(),
        "string": st.text(max_size=3),
        "integer": st.integers(-9, 9),
        "number": st.integers(-9, 9),
    }
    if "object" in kinds:
        made["object"] = st.fixed_dictionaries(
            {name: conforming(each) for name, each in schema["properties"].items()}
        )
    if "array" in kinds:
        made["array"] = st.lists(conforming(schema["items"]), max_size=2)
    return st.one_of([made[kind] for kind in kinds])


@settings(deadline=None)
@given(schemas, st.data())
def test_an_answer_to_the_strict_schema_conforms_to_the_original(
    schema: dict[str, Any], data: st.DataObject
) -> None:
    strict = strict_schema(schema)
    assert strict is not None
    answer = data.draw(conforming(strict.schema))
    jsonschema.validate(answer, strict.schema)
    jsonschema.validate(json.loads(without_optional_nulls(json.dumps(answer), schema)), schema)
