"""Finds the JSON in an answer that no one held to JSON: in a fence, or beside a sentence.

Of linear cost, since it runs in the workflow, too. There are two rules. `json_in_text` is for plans
and reviews, which go back with every reason if they are wrong: the first value that can be read
counts. `json_answer` is for answers that other agents get: what is ambiguous stays as it is, and
fails its check. That is two different values of the kind that is asked for, a part of a larger
value, and JSON with a mistake in it.
"""

import json
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from types import MappingProxyType
from typing import Any, Final

from durable_agent_team.rules import model_json
from durable_agent_team.rules.fences import FENCE, unfenced

MAX_TRIES = 8
"""Places where the JSON may begin. Each is tried with one pass over the text."""


def json_in_text(text: str) -> Any:
    """The JSON value that the text is, or contains. Raises `ValueError`, with a short text.

    >>> json_in_text('Here is the plan: {"tasks": []}')
    {'tasks': []}
    """
    try:
        return model_json.parse(text)
    except ValueError as error:
        first = error
    tried = {text.strip()}
    for candidate in islice(_candidates(text), MAX_TRIES):
        if candidate.strip() not in tried:
            tried.add(candidate.strip())
            try:
                return model_json.parse(candidate)
            except ValueError:
                continue
    raise first


def _candidates(text: str) -> Iterator[str]:
    """The contents of fences; then from each line that begins like JSON, and from the first bracket
    anywhere, to the last bracket."""
    for block in text.split(FENCE)[1::2]:
        first, _, rest = block.partition("\n")
        yield rest if first.strip().isalpha() or not first.strip() else block
    last = max(text.rfind("}"), text.rfind("]")) + 1
    at = 0
    for line in text.splitlines(keepends=True):
        begins = line.lstrip()[:1] or line
        if begins in ("{", "["):
            yield text[at:last]
        at += len(line)
    starts = [each for each in (text.find("{"), text.find("[")) if each >= 0]
    for start in sorted(starts):
        yield text[start:last]


_START = re.compile(r'\{(?=\s*["}])|\[(?=\s*(?:["{\[\]0-9-]|(?:true|false|null)\b))')
"""Where an object or a list may begin. `{name}` and `[see above]` in a sentence are neither."""

_DECODER = json.JSONDecoder(parse_int=len, parse_float=len, parse_constant=len)
"""For where a value ends: numbers are not computed."""

MAX_VALUES = 100
"""Values of all kinds that are tried in one answer with text around its JSON."""

KINDS: Final[Mapping[Any, type]] = MappingProxyType({"object": dict, "array": list})


def json_answer(text: str, schema: Mapping[str, Any] | None) -> str:
    """The JSON alone, where the answer has exactly one value of the schema's kind; else the text
    without a fence around it, if it has one."""
    plain = once(unfenced(text))
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


def once(text: str) -> str:
    """An object that is written several times in a row, as some models and servers do, or that an
    empty one stands before: that object alone. Any other text as it is."""
    end, said = 0, dict[str, None]()
    values = list(_values(text))
    for start, after, value in values:
        if not isinstance(value, dict) or text[end:start].strip():
            return text
        if value:
            said[text[start:after]] = None
        end = after
    return next(iter(said)) if len(values) > len(said) == 1 and not text[end:].strip() else text


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
