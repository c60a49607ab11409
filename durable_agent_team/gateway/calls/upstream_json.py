"""Reads JSON of an upstream: leniently, since an answer that can be read may have been billed.

What is not JSON, or could not be written as JSON again, becomes text: NaN, Infinity, `1e999`, and
numbers of hundreds of digits. The rest of the answer stays usable, and its usage counts. What
comes after an object is left out; of a name that it has twice, the value that says more counts.
Texts may have control characters as they are.
"""

import json
import math
from typing import Any

MAX_DEPTH = 100
MAX_DIGITS = 40


def upstream_object(raw: bytes) -> dict[str, Any] | None:
    """None if `raw` is not a JSON object, or is nested more than MAX_DEPTH deep."""
    data = upstream_value(raw)
    return data if isinstance(data, dict) else None


def upstream_value(raw: bytes) -> dict[str, Any] | list[Any] | None:
    """A JSON object or list, as Google puts errors into one; None as in `upstream_object`."""
    try:
        text = raw.decode(errors="replace").removeprefix("\ufeff").lstrip()
        decoder = _CAREFUL if any(raw.count(name) > 1 for name in TOLD_ONCE) else _DECODER
        data, end = decoder.raw_decode(text)
        if isinstance(data, list) and text[end:].strip():
            return None
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict | list):
        return None
    shallow = raw.count(b"[") + raw.count(b"{") <= MAX_DEPTH
    return data if shallow or _depth_is_bounded(data) else None


def _number(text: str) -> float | str:
    number = float(text)
    return number if math.isfinite(number) else text[:MAX_DIGITS]


def _whole(text: str) -> int | str:
    return int(text) if len(text) <= MAX_DIGITS else text[:MAX_DIGITS]


def _one_of_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        found[name] = _fuller(found[name], value) if name in found else value
    return found


def _fuller(first: Any, second: Any) -> Any:
    """The larger of two numbers, the parts of two objects; of other values the second one, unless
    only the first says something."""
    if not first or not second:
        return second or first
    if isinstance(first, dict) and isinstance(second, dict):
        return _one_of_each([*first.items(), *second.items()])
    if isinstance(first, int | float) and isinstance(second, int | float):
        return max(first, second)
    return second


TOLD_ONCE = (b'"usage"', b'"prompt_tokens"', b'"completion_tokens"', b'"total_tokens"', b'"cost"')
"""Where none of these comes twice, the price of an answer is not told twice either."""
_DECODER = json.JSONDecoder(parse_float=_number, parse_int=_whole, parse_constant=str, strict=False)
_CAREFUL = json.JSONDecoder(
    parse_float=_number,
    parse_int=_whole,
    parse_constant=str,
    strict=False,
    object_pairs_hook=_one_of_each,
)


def _depth_is_bounded(data: Any) -> bool:
    level = [data]
    for _ in range(MAX_DEPTH):
        level = [child for each in level for child in _children(each)]
        if not level:
            return True
    return False


def _children(value: Any) -> list[Any]:
    """The containers in a container."""
    items = value.values() if isinstance(value, dict) else value
    return [item for item in items if isinstance(item, dict | list)]
