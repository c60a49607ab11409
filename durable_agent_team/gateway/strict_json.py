"""JSON objects that clients send. Rejects whatever cannot be passed on or stored: NaN, unbounded
numbers, half of a surrogate pair, deep nesting."""

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

MAX_DEPTH = 100
MAX_DIGITS = 100
"""For a whole number. Python itself refuses to print more than 4,300."""

_HALF_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def parse_request(raw: bytes, *, exact: bool = False, unique: bool | None = None) -> dict[str, Any]:
    """Raises ValueError, with a message for the sender, if `raw` is not such an object. With
    `exact`, fractions are Decimals. With `unique` (by default with `exact`), a name that occurs
    twice is refused; otherwise the last one counts."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"The body is not UTF-8 text (byte {error.start})") from None
    numbers = _Numbers(_decimal if exact else float)
    try:
        data = json.loads(
            text,
            parse_float=numbers.parse_float,
            parse_int=numbers.parse_int,
            parse_constant=_refuse_constant,
            object_pairs_hook=_unique if (exact if unique is None else unique) else None,
        )
    except RecursionError:
        raise ValueError(f"The body is nested more than {MAX_DEPTH} levels deep") from None
    except ValueError as error:
        raise ValueError(f"The body is not JSON: {error}") from None
    if not isinstance(data, dict):
        raise ValueError("The body must be a JSON object")
    _check_depth(data, text)
    if numbers.too_large:
        path = next(path for path, value in _walk(data) if _is_infinite(value))
        raise ValueError(f"{path} is a number that is too large")
    if "\\u" in text and _HALF_SURROGATE.search(text):
        for path, value in _walk(data):
            if isinstance(value, str) and not _encodable(value):
                raise ValueError(f"{path} contains half of a surrogate pair, which is not text")
    return data


def _decimal(text: str) -> Decimal:
    """The exact value; infinity if its exponent is beyond what Decimal can represent."""
    try:
        return Decimal(text)
    except ArithmeticError:
        return Decimal("Infinity")


@dataclass
class _Numbers:
    """Parses numbers. What is too large becomes infinity until its field is known."""

    float_type: Callable[[str], Any]
    too_large: bool = False

    def parse_float(self, text: str) -> Any:
        value = self.float_type(text)
        self.too_large = self.too_large or _is_infinite(value)
        return value

    def parse_int(self, text: str) -> int | float:
        if len(text) <= MAX_DIGITS:
            return int(text)
        self.too_large = True
        return math.inf


def _is_infinite(value: Any) -> bool:
    return isinstance(value, float | Decimal) and math.isinf(value)


def _refuse_constant(name: str) -> None:
    """Python would accept NaN and Infinity, which are not JSON."""
    raise ValueError(f"{name} is not a JSON number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen = Counter(name for name, _ in pairs)
        twice = next(name for name in found if seen[name] > 1)
        raise ValueError(f"{twice[:80]!a} occurs more than once in one object")
    return found


def _check_depth(data: dict[str, Any], text: str) -> None:
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    level: list[Any] = [data]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for parent in level
            for child in (parent.values() if type(parent) is dict else parent)
            if type(child) is dict or type(child) is list
        ]
        if not level:
            return
    raise ValueError(f"The body is nested more than {MAX_DEPTH} levels deep")


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _walk(data: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every name and every value that is not a container, with its path, such as `a.b[2]`."""
    named = data.items() if isinstance(data, dict) else enumerate(data)
    for name, value in named:
        if isinstance(name, str):
            here = f"{path}.{name}" if path else name
            yield f"the name {name[:80]!a}", name
        else:
            here = f"{path}[{name}]"
        if isinstance(value, dict | list):
            yield from _walk(value, here)
        else:
            yield f"`{here[:200].encode(errors='backslashreplace').decode()}`", value
