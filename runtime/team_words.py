"""pydantic's errors about a team file, in words for the person who wrote it."""

import difflib
from collections.abc import Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from contracts.plan import Problem
from contracts.team import Team

_TYPES = {
    "string_type": "a text is needed here",
    "int_type": "a whole number is needed here",
    "int_parsing": "a whole number is needed here",
    "int_from_float": "a whole number is needed here",
    "float_type": "a number is needed here",
    "float_parsing": "a number is needed here",
    "decimal_type": "an amount in US dollars is needed here",
    "decimal_parsing": "an amount in US dollars is needed here",
    "bool_type": "true or false is needed here",
    "bool_parsing": "true or false is needed here",
    "dict_type": "keys and values are needed here",
    "model_type": "keys and values are needed here",
    "tuple_type": "a list is needed here",
    "missing": "is missing",
    "decimal_max_places": "an amount has at most six decimal places",
}
_IDENTIFIER_REMEDY = "a small letter, then up to 39 small letters, digits, `-` or `_`"


def in_words(error: ValidationError) -> list[tuple[tuple[str | int, ...], Problem]]:
    """Each problem with its path; the branches of a union that was missed are one problem."""
    found: dict[tuple[str | int, ...], Problem] = {}
    for line in error.errors(include_url=False):
        path = tuple(part for part in line["loc"] if part != "[key]")
        path = _without_branches(path)
        found.setdefault(path, _problem(path, line))
    return list(found.items())


def _problem(path: tuple[str | int, ...], line: Any) -> Problem:
    kind, context = line["type"], line.get("ctx", {})
    what, remedy = _TYPES.get(kind, ""), ""
    if kind == "extra_forbidden":
        what = "this key is not known"
        remedy = suggest(str(path[-1]), known_keys(path[:-1]))
    elif kind == "missing":
        remedy = f"add `{path[-1]}:`"
    elif kind == "string_pattern_mismatch":
        what, remedy = "this is no name", f"use {_IDENTIFIER_REMEDY}"
    elif path and path[-1] == "output":
        what, remedy = "this is no output", "use `text`, `findings`, or a JSON Schema"
    elif kind in ("literal_error", "enum"):
        what, remedy = "this is none of the choices", f"one of {context.get('expected', '')}"
    if not what:
        what = line["msg"][:1].lower() + line["msg"][1:]
    given = "" if kind in ("missing", "extra_forbidden") else _shown(line["input"])
    return Problem(field=spell(path)[:300], value=given, what=what, remedy=remedy)


def _without_branches(path: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """`output` is a name or a schema; pydantic adds which of them it tried."""
    if "output" in path:
        return path[: path.index("output") + 1]
    return path


def _shown(value: Any) -> str:
    text = repr(value) if isinstance(value, str | list | dict) else str(value)
    return text if len(text) <= 80 else f"{text[:77]}…"


def spell(path: Sequence[str | int]) -> str:
    """`tasks[1].ask`, as the author would say it."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".") or "the file"


def suggest(name: str, known: Sequence[str]) -> str:
    """The key that was meant, if one is close; else those there are."""
    if close := difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.6):
        return f"did you mean `{close[0]}`?"
    return f"known here: {', '.join(known)}" if known else "leave it out"


def known_keys(path: Sequence[str | int]) -> list[str]:
    """The keys of the contract that a path leads to."""
    model: type[BaseModel] | None = Team
    for part in path:
        if model is None:
            return []
        if isinstance(part, str) and part in model.model_fields:
            model = _model_in(model.model_fields[part])
    return list(model.model_fields) if model else []


def _model_in(field: FieldInfo) -> type[BaseModel] | None:
    pending = [field.annotation]
    while pending:
        kind = pending.pop()
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
        pending.extend(get_args(kind))
    return None
