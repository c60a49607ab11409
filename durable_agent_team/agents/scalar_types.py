"""Types that a JSON scalar stands for: numbers, texts, dates, Literal and Enum.

Standard library only, Python 3.10 or newer.
"""

import datetime
import decimal
import enum
import inspect
import json
import math
import pathlib
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from durable_agent_team.agents.argument_limits import ArgumentError

Schema = dict[str, Any]
Convert = Callable[[Any, str], Any]
"""The Python value of a JSON value at a place of the arguments. Raises `ArgumentError`."""

TEXTS: dict[type, tuple[Schema, Callable[[str], Any]]] = {
    datetime.datetime: (
        {"type": "string", "format": "date-time"},
        lambda text: datetime.datetime.fromisoformat(_with_offset(text)),
    ),
    datetime.date: ({"type": "string", "format": "date"}, datetime.date.fromisoformat),
    datetime.time: (
        {"type": "string", "format": "time"},
        lambda text: datetime.time.fromisoformat(_with_offset(text)),
    ),
    uuid.UUID: ({"type": "string", "format": "uuid"}, uuid.UUID),
    pathlib.Path: ({"type": "string"}, pathlib.Path),
    pathlib.PurePath: ({"type": "string"}, pathlib.PurePath),
}


class NoSchema(Exception):
    """A type that no JSON value is read as. The text names it, and what to use instead."""


@dataclass(frozen=True)
class Kind:
    """A type as JSON has it."""

    schema: Schema
    convert: Convert


def expect(value: Any, kind: type, where: str, what: str) -> Any:
    """The value, if it is of this kind. Raises `ArgumentError` otherwise."""
    if not isinstance(value, kind):
        raise ArgumentError(f"{where}: {what} is expected, got {_shown(value)}")
    return value


def _text(value: Any, where: str) -> str:
    text: str = expect(value, str, where, "a text")
    return text


def _boolean(value: Any, where: str) -> bool:
    found: bool = expect(value, bool, where, "true or false")
    return found


def _nothing(value: Any, where: str) -> None:
    expect(value, type(None), where, "null")


def _whole(value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value // 1:
        raise ArgumentError(f"{where}: a whole number is expected, got {_shown(value)}")
    return int(value)


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not _is_finite(value):
        raise ArgumentError(f"{where}: a number is expected, got {_shown(value)}")
    return float(value)


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _decimal(value: Any, where: str) -> decimal.Decimal:
    """What the model wrote: the shortest text of its float, so that 19.99 stays 19.99."""
    if isinstance(value, float) and value == value // 1 and abs(value) < 10**15:
        value = int(value)
    _number(value, where)
    return decimal.Decimal(repr(value))


SCALARS: dict[Any, Kind] = {
    str: Kind({"type": "string"}, _text),
    int: Kind({"type": "integer"}, _whole),
    float: Kind({"type": "number"}, _number),
    bool: Kind({"type": "boolean"}, _boolean),
    None: Kind({"type": "null"}, _nothing),
    type(None): Kind({"type": "null"}, _nothing),
    decimal.Decimal: Kind({"type": "number"}, _decimal),
}


def literal(values: Sequence[Any]) -> Kind:
    if any(isinstance(each, enum.Enum) or not _is_json_scalar(each) for each in values):
        raise NoSchema("a Literal has texts, whole numbers, true, false and None")
    return _one_of([(each, each) for each in values])


def enumeration(kind: type[enum.Enum]) -> Kind:
    members = list(kind)
    by_name = any(not _is_json_scalar(each.value) for each in members)
    return _one_of([(each.name if by_name else each.value, each) for each in members])


def _one_of(pairs: Sequence[tuple[Any, Any]]) -> Kind:
    """JSON values with what each stands for."""
    written = [plain_value(each) for each, _ in pairs]
    schema: Schema = {"enum": written}
    if all(isinstance(each, str) for each in written):
        schema["type"] = "string"

    def convert(value: Any, where: str) -> Any:
        for (_, found), each in zip(pairs, written):  # noqa: B905 - of one length
            if each == value and isinstance(each, bool) == isinstance(value, bool):
                return found
        shown = ", ".join(json.dumps(each) for each in written)[:500]
        raise ArgumentError(f"{where}: one of {shown} is expected, got {_shown(value)}")

    return Kind(schema, convert)


def plain_value(value: Any) -> Any:
    """The value of an IntEnum or StrEnum without its class."""
    return value.value if isinstance(value, enum.Enum) else value


def _is_json_scalar(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, (str, int))


def from_text(kind: type) -> Kind:
    schema, read = TEXTS[kind]

    def convert(value: Any, where: str) -> Any:
        text = _text(value, where)
        try:
            return read(text)
        except ValueError:
            what = schema.get("format", kind.__name__)
            raise ArgumentError(f"{where}: {_shown(text)} is no {what}") from None

    return Kind(dict(schema), convert)


def _with_offset(text: str) -> str:
    """Python 3.10 does not read the `Z` of RFC 3339."""
    return f"{text[:-1]}+00:00" if text[-1:] in ("Z", "z") else text


def name_of(annotation: Any) -> str:
    return inspect.formatannotation(annotation)[:200]


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else f"{text[:77]}..."
