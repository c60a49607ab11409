"""The size that a task's JSON Schema may have. Cheap to check, so that a workflow may do it."""

from collections.abc import Iterable, Mapping
from typing import Any

from durable_agent_team.contracts.plan import Problem

MAX_SHOWN = 200
MAX_DEPTH = 50
"""Levels: the check goes down them by recursion, and must end in the same way everywhere."""

MAX_PARTS = 2_000
"""Values in a schema. The full check takes about a millisecond for each, on a slow machine."""


def size_problem(schema: Mapping[str, Any]) -> Problem | None:
    """A schema that is too large to be checked. Cheap, so that a workflow may call it."""
    parts, level = 0, [schema]
    for _ in range(MAX_DEPTH + 1):
        parts += len(level)
        if parts > MAX_PARTS:
            return schema_error("", f"has more than {MAX_PARTS} parts", "make it smaller")
        level = [inner for each in level for inner in _inner(each)]
    if not any(isinstance(each, Mapping | list | tuple) for each in level):
        return None
    remedy = "make it flatter"
    return schema_error("", f"is nested more than {MAX_DEPTH} levels deep", remedy)


def schema_error(value: str, what: str, remedy: str) -> Problem:
    return Problem(field="output", value=on_one_line(value), what=what, remedy=remedy)


def on_one_line(text: str) -> str:
    """On one line of a message, and cut."""
    plain = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
    return plain if len(plain) <= MAX_SHOWN else f"{plain[: MAX_SHOWN - 1]}…"


def _inner(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list | tuple) else ()
