"""The JSON Schema that a task's `output` may be: looked at before a run pays for an answer."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from contracts.plan import Problem
from runtime.plain_words import shown


def schema_problem(schema: Mapping[str, Any]) -> Problem | None:
    """What is wrong with a schema; the field is the caller's to fill in."""
    # jsonschema takes a tenth of a second to load, and most teams have no schema of their own.
    from jsonschema import Draft202012Validator  # noqa: PLC0415
    from jsonschema.exceptions import SchemaError  # noqa: PLC0415

    try:
        json.dumps(schema)
    except (TypeError, ValueError) as error:
        return _problem("", f"this is no JSON: {error}", "use keys and values that JSON knows")
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        return _problem(
            error.json_path,
            f"this is no JSON Schema: {shown(error.message, 200)}",
            "correct it there",
        )
    for ref in _texts_under("$ref", schema):
        if not ref.startswith("#"):
            what = "refers to a schema elsewhere, which is never fetched"
            return _problem(ref, what, "put it under `$defs` and refer to `#/$defs/NAME`")
    return None


def _problem(value: str, what: str, remedy: str) -> Problem:
    return Problem(field="output", value=shown(value, 200), what=what, remedy=remedy)


def _texts_under(key: str, schema: Any) -> Iterator[str]:
    """Every text under this key; what is data and no schema (`enum`, `const`) is let alone."""
    if isinstance(schema, Mapping):
        for name, inner in schema.items():
            if name == key and isinstance(inner, str):
                yield inner
            elif name not in ("enum", "const", "default", "examples"):
                yield from _texts_under(key, inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from _texts_under(key, inner)
