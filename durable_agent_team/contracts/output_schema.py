"""The JSON Schema that a task's `output` may be: checked before a run pays for an answer."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar
from urllib.parse import unquote

from durable_agent_team.contracts.plan import Problem
from durable_agent_team.contracts.schema_drafts import (
    KNOWN,
    UnknownDraft,
    WrongPattern,
    translated,
    validator_class,
)
from durable_agent_team.contracts.schema_size import on_one_line, schema_error, size_problem

Place = TypeVar("Place")
TYPES = ("object", "array", "string", "number", "integer", "boolean", "null")


def equal_schemas(
    schemas: Iterable[tuple[Place, Mapping[str, Any]]],
) -> list[tuple[Mapping[str, Any], list[Place]]]:
    """Each different schema once, with all of its places. Hundreds of tasks may have the same one,
    and to check it takes some twenty milliseconds."""
    found: dict[str, tuple[Mapping[str, Any], list[Place]]] = {}
    for place, schema in schemas:
        found.setdefault(repr(schema), (schema, []))[1].append(place)
    return list(found.values())


def schema_problem(schema: Mapping[str, Any]) -> Problem | None:
    """What is wrong with a schema; the field is the caller's to fill in."""
    # jsonschema takes a tenth of a second to load, and most teams have no schema of their own.
    from jsonschema.exceptions import SchemaError  # noqa: PLC0415

    too_large = size_problem(schema)
    if too_large is not None:
        return too_large
    try:
        json.dumps(schema)
    except (TypeError, ValueError) as error:
        return schema_error("", f"this is not JSON: {error}", "use keys and values that JSON knows")
    try:
        draft = validator_class(schema)
        known = translated(schema)
        draft.check_schema(known.schema)
    except UnknownDraft as error:
        return schema_error("$.$schema", str(error), f"name {KNOWN}")
    except WrongPattern as error:
        told = f"this is not a JSON Schema: {on_one_line(str(error))}"
        return schema_error(error.path, told, error.remedy)
    except SchemaError as error:
        if error.json_path.endswith(".type") and error.validator == "anyOf":
            told = f"this is not a JSON Schema: {on_one_line(repr(error.instance))} is not a type"
            return schema_error(error.json_path, told, f"one of {', '.join(TYPES)}")
        return schema_error(
            error.json_path,
            f"this is not a JSON Schema: {on_one_line(known.as_written(error.message))}",
            "correct it there",
        )
    remedy = "put it under `$defs` and refer to `#/$defs/NAME`"
    for ref in _texts_under("$ref", schema):
        if not ref.startswith("#"):
            return schema_error(ref, "refers to a schema elsewhere, which is never fetched", remedy)
        if not _leads_somewhere(ref, schema):
            return schema_error(ref, "refers to nothing in this schema", remedy)
    return None


def _leads_somewhere(ref: str, schema: Mapping[str, Any]) -> bool:
    """A pointer is followed. An anchor may stand anywhere, and below an `$id` a pointer begins
    there: those are left to the check."""
    if not ref.startswith("#/") or any(_texts_under("$id", schema)):
        return True
    at: Any = schema
    for step in ref.split("/")[1:]:
        name = unquote(step).replace("~1", "/").replace("~0", "~")
        if isinstance(at, Mapping) and name in at:
            at = at[name]
        elif isinstance(at, list | tuple) and name.isdecimal() and int(name) < len(at):
            at = at[int(name)]
        else:
            return False
    return True


def _texts_under(key: str, schema: Any) -> Iterator[str]:
    """Every text under this key; what is data and no schema (`enum`, `const`) is left as it is."""
    if isinstance(schema, Mapping):
        for name, inner in schema.items():
            if name == key and isinstance(inner, str):
                yield inner
            elif name not in ("enum", "const", "default", "examples"):
                yield from _texts_under(key, inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from _texts_under(key, inner)
