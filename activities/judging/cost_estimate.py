"""Decides what is checked in the worker at once: small work of linear cost, by cheap estimates.

The estimates are upper bounds and may be far too high: what they refuse is checked in the child.
"""

import json
from functools import lru_cache
from typing import Any

from activities.judging.answer_checks import AnswerCheck

SIMPLE_KEYWORDS = frozenset(
    {
        "$schema", "additionalProperties", "const", "default", "description", "enum", "examples",
        "exclusiveMaximum", "exclusiveMinimum", "items", "maxItems", "maxLength", "maxProperties",
        "maximum", "minItems", "minLength", "minProperties", "minimum", "prefixItems", "properties",
        "required", "title", "type",
    }
)  # fmt: skip
"""Keywords whose cost is linear in the answer for each part of the schema."""

MAX_SCHEMA_CHARACTERS = 4_000
MAX_SCHEMA_PARTS = 150
MAX_VISITS = 4_000
"""Parts of a schema times values of an answer. One visit takes some microseconds."""

MAX_SOURCES = 100_000
"""Characters of the inputs that are made comparable in the worker: at most 150 ns for each."""

MAX_COMPARISONS = 20_000_000
"""Characters of a quote times characters of the inputs: about 1 ns each at the worst."""


def is_cheap(check: AnswerCheck) -> bool:
    """Whether the check surely ends within milliseconds."""
    if check.is_too_long:
        return True
    values = _values_at_most(check.answer)
    if check.schema_text is not None:
        parts = simple_parts(check.schema_text)
        if parts is None or parts * values > MAX_VISITS:
            return False
    return check.sources is None or _quotes_are_cheap(check.answer, check.sources)


@lru_cache(maxsize=256)
def simple_parts(schema_text: str) -> int | None:
    """How many values a simple and small schema consists of; None for any other schema."""
    if len(schema_text) > MAX_SCHEMA_CHARACTERS:
        return None
    try:
        return _parts(json.loads(schema_text))
    except RecursionError:
        return None


def _parts(schema: Any) -> int | None:
    parts, pending = 0, [schema]
    while pending:
        at = pending.pop()
        parts += 1
        if not isinstance(at, dict):
            continue
        if not at.keys() <= SIMPLE_KEYWORDS:
            return None
        for keyword, value in at.items():
            inner = list(value.values()) if isinstance(value, dict) else [value]
            if isinstance(value, list):
                inner = value
            if keyword in ("properties", "prefixItems"):
                pending += inner
            elif keyword in ("items", "additionalProperties"):
                pending += value if isinstance(value, list) else [value]
            else:
                parts += _size(value)
        if parts > MAX_SCHEMA_PARTS:
            return None
    return parts


def _size(value: Any) -> int:
    """Values in a `const`, an `enum` and the like; a text of the schema is short already."""
    size, pending = 0, [value]
    while pending:
        at = pending.pop()
        size += 1
        if isinstance(at, dict):
            pending += at.values()
        elif isinstance(at, list):
            pending += at
    return size


def _values_at_most(answer: str) -> int:
    """An upper bound of the values in a JSON answer: all but one follow one of these characters."""
    return 1 + answer.count(",") + answer.count("[") + answer.count("{") + answer.count(":")


def _quotes_are_cheap(answer: str, sources: tuple[str, ...]) -> bool:
    characters = sum(map(len, sources))
    quotes = sum(answer.count(mark) for mark in ('"', "“", "”", "»"))
    longest = min(len(answer), 100 * quotes)
    return characters <= MAX_SOURCES and longest * characters <= MAX_COMPARISONS
