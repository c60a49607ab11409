"""Which call of a tool an effect is: its tool, its arguments as canonical JSON, and the number of
equal calls in this attempt."""

import hashlib
import inspect
import json
import math
import re
import threading
from collections.abc import Callable, Mapping
from typing import Any

MAX_TOOL = 200
MAX_DEPTH = 90
"""For arguments and results. The gateway takes 100 levels, with what is around a result."""
MAX_DIGITS = 100
LEFT_OUT = ("self", "cls")

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9]+")


def tool_name(function: Callable[..., Any], name: str | None) -> str:
    """What a person sees of the tool. Raises TypeError."""
    if name is None:
        return f"{function.__module__}.{function.__qualname__}"[-MAX_TOOL:]
    if not isinstance(name, str) or not 0 < len(name) <= MAX_TOOL or not name.isprintable():
        raise TypeError(f"once: `name` must be 1 to {MAX_TOOL} printable characters; got {name!r}")
    return name


def arguments_of(
    signature: inspect.Signature, tool: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> str:
    """The arguments as canonical JSON, the same however they were passed. `self` and `cls` are left
    out. Raises TypeError."""
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    first = next(iter(signature.parameters), None)
    values = {
        name: value
        for name, value in bound.arguments.items()
        if not (name == first and name in LEFT_OUT)
    }
    for name, value in values.items():
        check_json(
            value,
            f"the argument `{name}` of the tool {tool}",
            "Give `once` a `key`: a function of the arguments that returns what tells calls apart",
        )
    return canonical(values)


def canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def base_name(tool: str, arguments: str) -> str:
    """The same for equal calls; at most 100 characters, which a URL's path can have."""
    digest = hashlib.sha256(json.dumps([tool, arguments]).encode()).hexdigest()[:32]
    readable = _NOT_IN_NAMES.sub("-", tool).strip("-")[-60:].strip("-") or "tool"
    return f"{readable}.{digest}"


def check_json(value: Any, where: str, remedy: str, depth: int = 0) -> None:
    """Raises TypeError, which names the place, unless the value comes back from JSON as it is (a
    tuple as a list)."""
    if depth > MAX_DEPTH:
        raise TypeError(f"{where} is nested more than {MAX_DEPTH} levels deep. {remedy}")
    if isinstance(value, str):
        if not _is_text(value):
            raise TypeError(f"{where} has half of a surrogate pair, which is not text. {remedy}")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise TypeError(f"{where} is {value}, which JSON does not have. {remedy}")
    elif isinstance(value, (list, tuple)):
        for index, each in enumerate(value):
            check_json(each, f"{where}[{index}]", remedy, depth + 1)
    elif isinstance(value, dict):
        for name, each in value.items():
            if not isinstance(name, str):
                kind = type(name).__name__
                raise TypeError(f"{where} has a key that is a {kind}, not a str. {remedy}")
            check_json(name, f"a key of {where}", remedy, depth + 1)
            check_json(each, f"{where}[{name[:40]!r}]", remedy, depth + 1)
    elif isinstance(value, int):
        if abs(value) >= 10**MAX_DIGITS:
            raise TypeError(f"{where} has more than {MAX_DIGITS} digits. {remedy}")
    elif value is not None:
        raise TypeError(f"{where} is a {type(value).__name__}, which is not JSON. {remedy}")


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


class CallNumbers:
    """Numbers the equal calls of one attempt: 1 for the first. A call that did not begin gives its
    number back, so that the same calls have the same numbers in the next attempt."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: dict[str, set[int]] = {}

    def take(self, base: str) -> int:
        with self._lock:
            taken = self._taken.setdefault(base, set())
            number = 1
            while number in taken:
                number += 1
            taken.add(number)
            return number

    def give_back(self, base: str, number: int) -> None:
        with self._lock:
            self._taken[base].discard(number)
