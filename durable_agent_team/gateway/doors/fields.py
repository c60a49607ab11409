"""Reads the fields of a request at a door, and refuses by name what cannot be translated."""

from collections.abc import Collection, Mapping
from typing import Any

from durable_agent_team.gateway.api_error import ApiError, invalid, shown, shown_name

Json = dict[str, Any]
MAX_TOKENS = 10_000_000
"""The highest limit of an answer, as for a chat request."""


def refused(path: str, door: str, remedy: str) -> ApiError:
    """A field, or a value of it, that is known but cannot be had here."""
    message = f"`{path}` is not served at {door}: {remedy}"
    return invalid(message, "unsupported_parameter")


def check_known(
    data: Json, known: Collection[str], remedies: Mapping[str, str], door: str, path: str = ""
) -> None:
    """Refuses fields that are not in `known`, unless null. `remedies` says for some what to do."""
    for name in sorted(set(data) - set(known)):
        if data[name] is None:
            continue
        remedy = remedies.get(
            name, "it is not known, so neither its effect nor its cost is bounded"
        )
        raise refused(_join(path, shown_name(name)), door, f"{remedy}. Leave it out.")


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def text(data: Json, name: str, path: str = "") -> str:
    value = data.get(name)
    if not isinstance(value, str):
        raise invalid(f"`{_join(path, name)}` must be a string; got {shown(value)}")
    return value


def optional_text(data: Json, name: str, path: str = "") -> str | None:
    return None if data.get(name) is None else text(data, name, path)


def optional_limit(data: Json, name: str) -> int | None:
    """The field that bounds the answer's tokens."""
    value = data.get(name)
    whole = isinstance(value, int) and not isinstance(value, bool)
    if value is None or (whole and 1 <= value <= MAX_TOKENS):
        return value
    raise invalid(f"`{name}` must be a whole number from 1 to {MAX_TOKENS}; got {shown(value)}")


def flag(data: Json, name: str, path: str = "") -> bool | None:
    value = data.get(name)
    if value is not None and not isinstance(value, bool):
        raise invalid(f"`{_join(path, name)}` must be true or false; got {shown(value)}")
    return value


def as_object(value: Any, path: str) -> Json:
    if not isinstance(value, dict):
        raise invalid(f"`{path}` must be an object; got {shown(value)}")
    return value


def optional_object(data: Json, name: str, path: str = "") -> Json:
    """Empty if it is absent or null."""
    value = data.get(name)
    return {} if value is None else as_object(value, _join(path, name))


def as_list(value: Any, path: str) -> list[Any]:
    if not isinstance(value, list):
        raise invalid(f"`{path}` must be a list; got {shown(value)}")
    return value


def optional_list(data: Json, name: str, path: str = "") -> list[Any]:
    """Empty if it is absent or null."""
    value = data.get(name)
    return [] if value is None else as_list(value, _join(path, name))


def one_of(value: Any, known: Collection[str], path: str) -> str:
    if not isinstance(value, str) or value not in known:
        raise invalid(f"`{path}` must be one of {', '.join(sorted(known))}; got {shown(value)}")
    return value


def given(data: Json) -> Json:
    """Without what is null."""
    return {name: value for name, value in data.items() if value is not None}
