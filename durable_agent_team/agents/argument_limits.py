"""What `Annotated` says of an argument: a description, and limits.

The objects of pydantic (`Field(ge=1, description=...)`), annotated-types (`Ge(1)`) and
typing_extensions (`Doc("...")`) are known by their attributes, since none of them is needed here.
Standard library only, Python 3.10 or newer.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

_NUMBERS = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "multiple_of": "multipleOf",
}
_SIZES = {
    "string": {"min_length": "minLength", "max_length": "maxLength"},
    "array": {"min_length": "minItems", "max_length": "maxItems"},
    "object": {"min_length": "minProperties", "max_length": "maxProperties"},
}
_NAMES = (*_NUMBERS, "min_length", "max_length", "pattern")


class ArgumentError(Exception):
    """What a model wrote is no value of the argument's type. The text says where and why."""


def description_of(metadata: Any) -> str:
    """A text, or the description of a `Field` or `Doc`."""
    if isinstance(metadata, str):
        return metadata
    for name in ("description", "documentation"):
        if isinstance(found := getattr(metadata, name, None), str):
            return found
    return ""


def limits_of(metadata: Sequence[Any]) -> dict[str, Any]:
    """The limits by pydantic's names."""
    found: dict[str, Any] = {}
    for each in metadata:
        if isinstance(each, (str, type)):
            continue
        nested = getattr(each, "metadata", None)
        if isinstance(nested, (list, tuple)):
            found |= limits_of(nested)
        for name in _NAMES:
            value = getattr(each, name, None)
            if isinstance(value, (int, float, str)) and not callable(value):
                found[name] = value
    return found


def with_limits(
    schema: dict[str, Any], limits: dict[str, Any]
) -> tuple[dict[str, Any], Callable[[Any, str], None]]:
    """The schema with the limits that fit its type, and a function that checks a JSON value."""
    kind = schema.get("type", "")
    names = dict(_NUMBERS) if kind in ("integer", "number") else dict(_SIZES.get(kind, {}))
    if kind == "string":
        names["pattern"] = "pattern"
    used = {name: value for name, value in limits.items() if name in names}
    written = {names[name]: value for name, value in used.items()}

    def check(value: Any, where: str) -> None:
        for name, limit in used.items():
            if not _is_within(value, name, limit):
                raise ArgumentError(f"{where}: {names[name]} is {limit}")

    return {**schema, **written}, check


def _is_within(value: Any, name: str, limit: Any) -> bool:
    """True also for a value of another type, which is refused for that."""
    if name in _NUMBERS and (isinstance(value, bool) or not isinstance(value, (int, float))):
        return True
    if name not in _NUMBERS and not isinstance(value, (str, list, dict)):
        return True
    match name:
        case "ge":
            return bool(value >= limit)
        case "gt":
            return bool(value > limit)
        case "le":
            return bool(value <= limit)
        case "lt":
            return bool(value < limit)
        case "multiple_of":
            return bool(value % limit == 0)
        case "min_length":
            return bool(len(value) >= limit)
        case "max_length":
            return bool(len(value) <= limit)
    return re.search(limit, value) is not None
