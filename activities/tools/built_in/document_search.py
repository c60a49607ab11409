"""`search_documents` and `read_document`: the run's documents, by words and by ranges. Pure.

Positions are characters from 0, as `read_document` takes them. The time is linear in the length of
the documents.
"""

import heapq
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from activities.tools.built_in.exceptions import ToolMistake

MAX_QUERY: Final = 200
MAX_WORDS: Final = 8
MAX_HITS: Final = 20
CONTEXT: Final = 160
"""Characters that a hit shows on each side."""
PASSAGE: Final = 400
"""Characters of a passage, in which words are looked for that do not stand side by side."""
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, order=True)
class Hit:
    """A place in a document. The best ones come first."""

    missing: int
    """Words of the query that are not there."""
    document: int
    start: int
    end: int


def search(query: str, documents: Mapping[str, str], max_hits: int) -> str:
    """The places of a text in documents, whatever its case; if it is nowhere, the passages that
    have most of its words. Raises `ToolMistake`."""
    wanted = " ".join(query.split())
    if not wanted:
        raise ToolMistake("the query is empty: give a word or a phrase")
    if len(wanted) > MAX_QUERY:
        raise ToolMistake(f"the query is longer than {MAX_QUERY} characters: give a few words")
    max_hits = max(1, min(max_hits, MAX_HITS))
    folded = {name: folded_text(text) for name, text in documents.items()}
    count, hits, is_all = _phrase(folded_text(wanted), folded, max_hits)
    heading = f"{count} {'place' if count == 1 else 'places'} with {wanted!r}"
    if not is_all:
        heading += ", of which the first are shown"
    if not hits:
        hits = _passages(folded_text(wanted), folded, max_hits)
        heading = f"{wanted!r} is nowhere as it is; the passages with most of its words"
    if not hits:
        searched = ", ".join(documents)[:500] or "the documents, of which there are none"
        return f"Nothing of {wanted!r} is in {searched}."
    names = list(documents)
    blocks = [_block(names[hit.document], documents[names[hit.document]], hit) for hit in hits]
    return "\n\n".join([f"{heading}:", *blocks])


def read(name: str, text: str, start: int, length: int | None, max_bytes: int) -> str:
    """A document, or a range of it. What is longer than `max_bytes` ends there, and says where to
    read on. Raises `ToolMistake`."""
    if start >= len(text) > 0 or start < 0:
        raise ToolMistake(f"{name} has the characters 0 to {len(text) - 1}: `start` is {start}")
    end = len(text) if length is None else min(len(text), start + length)
    part = _within(text[start:end], max_bytes)
    end = start + len(part)
    if start == 0 and end == len(text):
        return part
    more = f"; read on with start: {end}" if end < len(text) else ""
    return f"[characters {start} to {end - 1} of {len(text)}{more}]\n{part}"


def folded_text(text: str) -> str:
    """In lower case, without changing the position of any character."""
    lowered = text.lower()
    if len(lowered) == len(text):
        return lowered
    return "".join(low if len(low := each.lower()) == 1 else each for each in text)


def _phrase(wanted: str, folded: Mapping[str, str], max_hits: int) -> tuple[int, list[Hit], bool]:
    """How many there are, the first, those that are near each other as one, and whether these are
    all. The query has single spaces, so that a phrase with a line break in it is found by its
    words."""
    count, is_all = 0, True
    hits: list[Hit] = []
    for number, text in enumerate(folded.values()):
        position = text.find(wanted)
        while position >= 0:
            count += 1
            end = position + len(wanted)
            last = hits[-1] if hits else None
            if last and last.document == number and end - last.start <= PASSAGE:
                hits[-1] = Hit(0, number, last.start, end)
            elif len(hits) < max_hits:
                hits.append(Hit(0, number, position, end))
            else:
                is_all = False
            position = text.find(wanted, end)
    return count, hits, is_all


def _passages(wanted: str, folded: Mapping[str, str], max_hits: int) -> list[Hit]:
    words = list(dict.fromkeys(_WORD.findall(wanted)))[:MAX_WORDS]
    found = (
        Hit(missing, number, start, end)
        for number, text in enumerate(folded.values())
        for start, end in _cut(text)
        if (missing := sum(word not in text[start:end] for word in words)) < len(words)
    )
    return heapq.nsmallest(max_hits, found)


def _cut(text: str) -> Iterator[tuple[int, int]]:
    """Pieces of a text that overlap by half, so that no pair of near words is cut apart."""
    for start in range(0, max(len(text) - PASSAGE // 2, 1), PASSAGE // 2):
        yield start, min(start + PASSAGE, len(text))


def _block(name: str, text: str, hit: Hit) -> str:
    around = 0 if hit.end - hit.start >= PASSAGE // 2 else CONTEXT
    start, end = max(0, hit.start - around), min(len(text), hit.end + around)
    return f"[{name}, characters {start} to {end - 1}]\n{text[start:end].strip()}"


def _within(text: str, max_bytes: int) -> str:
    encoded = text[:max_bytes].encode("utf-8", "replace")
    if len(encoded) <= max_bytes:
        return text[:max_bytes]
    return encoded[:max_bytes].decode("utf-8", "ignore")
