"""Compiles a task's JSON Schema, and checks values against it."""

import itertools
import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from jsonschema.exceptions import SchemaError, ValidationError
from referencing.exceptions import Unresolvable
from referencing.jsonschema import EMPTY_REGISTRY

from activities.judging.exceptions import InvalidSchema
from durable_agent_team.contracts.bounded_text import cut
from durable_agent_team.contracts.schema_drafts import (
    KNOWN,
    Translated,
    UnknownDraft,
    WrongPattern,
    translated,
    validator_class,
)
from durable_agent_team.contracts.schema_formats import format_checker

MAX_ERRORS = 10
MAX_VALUE = 80
"""Characters of a wrong value in an error."""
WHOLE = "the whole answer"
_FORMATS = format_checker()
PROBES: tuple[Any, ...] = (None, True, 0, "", [], {}, "a b-1", [[], {}], {"a": {}, "b": []})
"""A schema that takes long for these, whatever the answer, is at fault itself."""


@lru_cache(maxsize=256)
def validator(schema_text: str) -> tuple[Any, Translated]:
    """jsonschema's validator for the schema's draft, for a schema that passed `check_schema`.
    References outside the schema are never fetched."""
    known = translated(json.loads(schema_text))
    draft = validator_class(known.schema)
    return draft(known.schema, registry=EMPTY_REGISTRY, format_checker=_FORMATS), known


def check_schema(schema_text: str) -> None:
    """Raises `InvalidSchema`. Takes about a millisecond for each part of the schema."""
    try:
        known = translated(json.loads(schema_text))
        validator_class(known.schema).check_schema(known.schema)
    except UnknownDraft as error:
        raise InvalidSchema(
            f"the `$schema` of the task's `output` is not known: {error}; name {KNOWN}"
        ) from None
    except WrongPattern as error:
        raise InvalidSchema(
            f"a `pattern` in the task's `output` is not a regex of ECMA 262, at {error.path[:200]}:"
            f" {cut(str(error), 200)}; {error.remedy}, in the team file"
        ) from None
    except SchemaError as error:
        raise InvalidSchema(
            f"the task's `output` is not a valid JSON Schema at {error.json_path[:200]}:"
            f" {cut(error.message, 200)}; correct it in the team file"
        ) from None
    except RecursionError:
        raise InvalidSchema(
            "the task's `output` is nested too deeply; make it flatter in the team file"
        ) from None


def schema_errors(schema_text: str, value: Any) -> list[str]:
    """Where the value departs from the schema: the first few places."""
    draft, known = validator(schema_text)
    found: Iterator[ValidationError] = draft.iter_errors(value)
    try:
        return [_described(error, known) for error in itertools.islice(found, MAX_ERRORS)]
    except Unresolvable as error:
        raise InvalidSchema(
            f"the task's `output` refers to {cut(repr(error.ref), 200)}, which is not in the schema"
            " itself; put it under `$defs` in the team file"
        ) from None
    except RecursionError:
        return ["The answer is nested too deeply. Answer with the shape that is asked for."]
    except ArithmeticError:
        return ["A number in the answer is too large. Answer with smaller numbers."]
    except re.error as error:
        raise InvalidSchema(
            f"a `pattern` in the task's `output` is not a regular expression: {error};"
            " correct it in the team file"
        ) from None


def probe(schema_text: str) -> None:
    """Checks the schema, and small values against it. Raises `InvalidSchema`."""
    check_schema(schema_text)
    for value in PROBES:
        schema_errors(schema_text, value)


def _described(error: ValidationError, known: Translated) -> str:
    where = error.json_path.removeprefix("$").removeprefix(".") or WHOLE
    message, value = error.message, repr(error.instance)
    if message.startswith(value):  # a long one would leave no room for what is wrong with it
        message = cut(value, MAX_VALUE) + message.removeprefix(value)
    return f"At {cut(where, 100)}: {cut(known.as_written(message), 200)}"
