"""Finds the JSON in an answer that no one held to JSON: in a fence, or behind a sentence.

String operations of linear cost: it runs in the workflow.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from durable_agent_team.rules import model_json

FENCE = "```"
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
