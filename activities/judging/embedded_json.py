"""Finds the JSON in an answer that has a fence around it, or a sentence before or after it.

Linear in the answer. What is ambiguous stays as it is, and fails its check: two values of the kind
that is asked for, a part of a larger value, and JSON with a mistake in it.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from activities.judging.fences import unfenced

_START = re.compile(r'\{(?=\s*["}])|\[(?=\s*(?:["{\[\]0-9-]|(?:true|false|null)\b))')
"""Where an object or a list may begin. `{name}` and `[see above]` in a sentence are neither."""

_DECODER = json.JSONDecoder(parse_int=len, parse_float=len, parse_constant=len)
"""For where a value ends: numbers are not computed."""

MAX_VALUES = 100
"""Of all kinds, in one answer with a text around its JSON."""

KINDS: dict[Any, type] = {"object": dict, "array": list}


def json_answer(text: str, schema: Mapping[str, Any] | None) -> str:
    """The JSON alone, where the answer has exactly one value of the schema's kind; else the text
    without a fence around it, if it has one."""
    plain = unfenced(text)
    if _is_json(plain):
        return plain
    kind = KINDS.get((schema or {}).get("type"))
    found = None
    for start, end, value in _values(text):
        if kind is None or isinstance(value, kind):
            if found is not None or _is_part(text, start, end):
                return plain
            found = text[start:end]
    return plain if found is None else found


def _is_json(text: str) -> bool:
    try:
        json.loads(text, parse_int=len, parse_float=len, parse_constant=len)
    except (ValueError, RecursionError):
        return False
    return True


def _values(text: str) -> Iterator[tuple[int, int, Any]]:
    """The objects and lists in a text, from the left, none within another one. None at all where
    one of them is broken, or where there are too many."""
    found: list[tuple[int, int, Any]] = []
    at = 0
    while start := _START.search(text, at):
        try:
            value, at = _DECODER.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            return
        found.append((start.start(), at, value))
        if len(found) > MAX_VALUES:
            return
    yield from found


def _is_part(text: str, start: int, end: int) -> bool:
    """Whether what stands around it belongs to JSON as well."""
    before, after = text[max(start - 50, 0) : start].rstrip(), text[end : end + 50].lstrip()
    return before.endswith(('":', ",")) or after.startswith(("}", "]", ",", ":"))
