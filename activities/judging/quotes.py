"""Finds the quotes in an answer, and those that none of its inputs contains."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from activities.calls.output_formats import SENTENCE_LENGTH
from activities.judging.faithful_text import comparable, readings
from activities.judging.quote_matches import is_quoted
from durable_agent_team.contracts.bounded_text import cut

MAX_QUOTES = 10_000
MAX_EXCERPT = 80
MAX_CHECKED_PASSAGE = 2_000

_PASSAGE = re.compile(r"“([^“”]+)”|„([^„“”]+)[“”]|«([^«»]+)»|\"([^\"]+)\"")
MAX_GENERATED = SENTENCE_LENGTH.stop - 1
"""Characters. A longer quote is cut by the schema that the model is held to."""


def quotes_in_json(value: Any) -> Iterator[str]:
    """Every text under a key `quote` or `quotes`, at any depth."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key in ("quote", "quotes"):
                yield from _texts(inner)
            else:
                yield from quotes_in_json(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from quotes_in_json(inner)


def quotes_in_text(answer: str) -> Iterator[str]:
    """Passages in double quotes of three words or more: shorter ones are names and irony."""
    for match in _PASSAGE.finditer(answer):
        passage = next(group for group in match.groups() if group is not None)
        if len(passage) <= MAX_CHECKED_PASSAGE and len(passage.split()) >= 3:
            yield passage.strip().rstrip(",.;")  # Their comma may belong to the quoting sentence.


def missing_quotes(quotes: Iterable[str], sources: Sequence[str]) -> Iterator[str]:
    """A reason for each quote that is in none of the sources. Each quote is looked for once."""
    text: str | None = None
    wanted_quotes = {comparable(quote): len(quote) == MAX_GENERATED for quote in quotes}
    for number, (wanted, is_cut) in enumerate(wanted_quotes.items()):
        if number == MAX_QUOTES:
            yield f"The answer has more than {MAX_QUOTES} quotes. Give fewer."
            return
        if text is None:  # One text, at whose line breaks no quote can match: found faster.
            text = "\n".join(comparable(each) for source in sources for each in _readings(source))
        if not wanted:
            yield "A quote is empty. Copy a sentence from the inputs word for word."
        elif not is_quoted(wanted, text, cut=is_cut):
            yield (
                f'The quote "{cut(normalised(wanted), MAX_EXCERPT)}" is in none of the inputs.'
                " Copy quotes word for word, or leave them out."
            )


def normalised(text: str) -> str:
    """One form for all faithful copies of a text, with its hyphens at line ends left out."""
    return next(readings(comparable(text)))


def _readings(text: str) -> Iterator[str]:
    """The source as it is, and where it is JSON also the texts in it, without their escapes."""
    yield text
    if text.lstrip()[:1] in ("{", "["):
        try:
            yield from _texts(json.loads(text))
        except (ValueError, RecursionError):
            return


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
