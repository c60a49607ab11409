"""JSON objects as request and response bodies: read strictly, written compactly."""

import json
from collections.abc import Callable
from typing import Any

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def parse_object(raw: bytes, parse_float: Callable[[str], Any] = float) -> dict[str, Any]:
    """Raises ValueError, with a message for the sender, if `raw` is not a JSON object."""
    try:
        data = json.loads(raw, parse_float=parse_float, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"The body is not JSON: {error}") from None
    if not isinstance(data, dict):
        raise ValueError("The body must be a JSON object")
    return data


def dump(data: dict[str, Any], errors: str = "replace") -> bytes:
    """Compact UTF-8. Half of a surrogate pair becomes `?`; with `errors="strict"` it raises
    UnicodeEncodeError."""
    return _ENCODER.encode(data).encode(errors=errors)


def _refuse_constant(name: str) -> None:
    """Python would accept NaN and Infinity, which are not JSON."""
    raise ValueError(f"{name} is not a JSON number")
