"""Compiles a task's JSON Schema, and checks values against it."""

import itertools
import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from referencing.exceptions import Unresolvable
from referencing.jsonschema import EMPTY_REGISTRY

from activities.judging.exceptions import InvalidSchema

MAX_ERRORS = 10
PROBES: tuple[Any, ...] = (None, True, 0, "", [], {}, "a b-1", [[], {}], {"a": {}, "b": []})
"""A schema that takes long for these, whatever the answer, is at fault itself."""


@lru_cache(maxsize=256)
def validator(schema_text: str) -> Draft202012Validator:
    """For a schema that passed `check_schema`. References outside the schema are never fetched."""
    return Draft202012Validator(json.loads(schema_text), registry=EMPTY_REGISTRY)


def check_schema(schema_text: str) -> None:
    """Raises `InvalidSchema`. Takes about a millisecond for each part of the schema."""
    try:
        Draft202012Validator.check_schema(json.loads(schema_text))
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
    found: Iterator[ValidationError] = validator(schema_text).iter_errors(value)
    try:
        return [_described(error) for error in itertools.islice(found, MAX_ERRORS)]
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


def _described(error: ValidationError) -> str:
    where = error.json_path.removeprefix("$").removeprefix(".") or "the whole answer"
    return f"At {cut(where, 100)}: {cut(error.message, 200)}"


def cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
