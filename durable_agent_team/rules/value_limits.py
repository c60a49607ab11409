"""What a JSON value from outside may contain, whatever its contract: checked before it is parsed.

A contract bounds its own fields. This bounds what no contract sees in time: nesting, the number of
values, long numbers, half surrogates. The cost of the check is bounded as well.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from durable_agent_team.contracts.bounded_text import cut, is_storable

MAX_DIGITS = 30
MAX_KEY = 1_000
MAX_PATH = 200

Path = tuple["Path", str | int] | None
"""The way to a value, from its end: the path of its container, and its key or index."""


@dataclass(frozen=True)
class ValueLimits:
    """The most that one JSON value may contain."""

    depth: int
    values: int
    """Everything that is not a key, including lists and objects."""
    keys: int
    """In all objects together: each may be a mistake that pydantic lists."""
    entries: int
    """In one list or object."""
    characters: int
    """In all texts and keys together."""


START = ValueLimits(depth=64, values=200_000, keys=150_000, entries=5_000, characters=8_000_000)
"""A start input: five thousand tasks that each have a document and a small schema, or a thousand
that each have a schema and a hundred dependencies."""

MESSAGE = ValueLimits(depth=64, values=10_000, keys=4_000, entries=2_000, characters=200_000)
"""A signal, an update or a query: at most one task."""


def value_problem(value: Any, limits: ValueLimits) -> str | None:
    """The first thing in the value that may not enter, with its place and the remedy; or None.

    >>> value_problem({"goal": "a", "budget": float("inf")}, MESSAGE)
    'budget: a number is expected, got inf or nan (write a finite one)'
    """
    values = keys = characters = 0
    rest: list[tuple[Any, Path, int]] = [(value, None, 0)]
    while rest:
        each, path, depth = rest.pop()
        values += 1
        if values > limits.values:
            return f"more than {limits.values:,} values in all (make it smaller)"
        if isinstance(each, str):
            characters += len(each)
            if not is_storable(each):
                return f"{_place(path)}: contains half of a surrogate pair (leave it out)"
        elif isinstance(each, Mapping | list | tuple):
            if depth >= limits.depth:
                return f"{_place(path)}: nested more than {limits.depth} levels (make it flatter)"
            if len(each) > limits.entries:
                return f"{_place(path)}: more than {limits.entries} entries (send fewer)"
            if isinstance(each, Mapping):
                keys += len(each)
                if keys > limits.keys:
                    return f"more than {limits.keys:,} keys in all (make it smaller)"
                for key in each:
                    problem = _key_problem(key)
                    if problem is not None:
                        return f"{_place(path)}: {problem}"
                    characters += len(key)
            rest.extend((inner, (path, key), depth + 1) for key, inner in _inner(each))
        elif (problem := _number_problem(each)) is not None:
            return f"{_place(path)}: {problem}"
        if characters > limits.characters:
            return f"more than {limits.characters:,} characters in all (make it smaller)"
    return None


def _inner(container: Mapping[str, Any] | list[Any] | tuple[Any, ...]) -> Iterator[tuple[Any, Any]]:
    return iter(container.items() if isinstance(container, Mapping) else enumerate(container))


def _number_problem(value: Any) -> str | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int) and abs(value) >= 10**MAX_DIGITS:
        return f"a number with more than {MAX_DIGITS} digits (write a shorter one)"
    if isinstance(value, float) and not isfinite(value):
        return "a number is expected, got inf or nan (write a finite one)"
    return None


def _key_problem(key: Any) -> str | None:
    if not isinstance(key, str):
        return "a key is not a text"
    if len(key) > MAX_KEY:
        return f"a key has more than {MAX_KEY} characters (shorten it)"
    return None if is_storable(key) else "a key contains half of a surrogate pair (leave it out)"


def _place(path: Path) -> str:
    parts: list[str] = []
    while path is not None:
        path, part = path
        parts.append(str(part))
    return cut(".".join(reversed(parts)), MAX_PATH) or "the payload"
