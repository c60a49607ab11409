"""Parses JSON from models: bounded in depth, in its numbers, and to text that can be stored."""

import json
import math
from collections import Counter
from typing import Any

from durable_agent_team.contracts.bounded_text import is_storable

MAX_DEPTH = 100
"""Levels. What walks over the value uses recursion."""

MAX_DIGITS = 300
"""For an integer: a longer one does not fit a float, with which `multipleOf` computes."""

TOO_DEEP = f"it is nested more than {MAX_DEPTH} levels deep"


def parse(text: str, *, unique_keys: bool = False) -> Any:
    """Raises `ValueError`, with a short text, for what is not JSON, or beyond a bound.

    With `unique_keys` also for a key that an object has twice, whose readers may disagree.
    """
    try:
        value = json.loads(
            text,
            parse_constant=_no_constant,
            parse_int=_integer,
            parse_float=_number,
            object_pairs_hook=_object if unique_keys else None,
        )
    except RecursionError:
        raise ValueError(TOO_DEEP) from None
    if is_deeper(value, MAX_DEPTH):
        raise ValueError(TOO_DEEP)
    if "\\ud" in text.lower() or not is_storable(text):
        _check_texts(value)
    return value


def _check_texts(value: Any) -> None:
    if not is_storable(json.dumps(value, ensure_ascii=False)):
        raise ValueError("it contains half of a surrogate pair")


def is_deeper(value: Any, levels: int) -> bool:
    """Whether lists and objects are nested more than `levels` deep. Without recursion."""
    level = [value] if isinstance(value, dict | list) else []
    while level and levels > 0:
        inner = [
            each
            for outer in level
            for each in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(each, dict | list)
        ]
        level, levels = inner, levels - 1
    return bool(level)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        raise ValueError(f"the key {counts.most_common(1)[0][0][:50]!r} stands twice in one object")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"{digits[:20]}… is a number of more than {MAX_DIGITS} digits")
    return int(digits)


def _number(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"{digits[:20]} is too large a number")
    return value
