"""Whether a quote is in a text: not only its characters, but whole words and whole numbers.

`able to pay` is in `unable to pay`, and `5 million` in `-1.5 million`, but neither is quoted there.
"""

import re
import unicodedata
from collections.abc import Iterator

from activities.judging.faithful_text import JOINED, KEPT, has_marks, readings

MAX_PLACES = 1_000
"""At most this many places of one quote in a text are compared."""

_NEGATION_BEFORE = re.compile(
    r"(?:\A|\W)(?:non|un|anti|not|no|in|dis|ex|counter|contra|nicht)-\Z", re.IGNORECASE
)
_NEGATION_AFTER = re.compile(r"-(?:free|less|proof|frei|los)\b|'t\b", re.IGNORECASE)
_COMPARISONS = frozenset("±<>≤≥≈~")
_INSIDE_NUMBERS = frozenset(".,:'/⁄·-")
_PARTS_OF_NUMBERS = frozenset("%‰°")


def is_quoted(quote: str, text: str, *, cut: bool = False) -> bool:
    """Both are `comparable`. A quote that was `cut`, at a limit of its length, may end inside a
    word."""
    if not quote:
        return False
    quotes = list(dict.fromkeys(readings(quote)))
    if any(_is_in(each, reading, cut) for reading in readings(text) for each in quotes):
        return True
    return has_marks(text) and any(_is_in_hyphenated(each, text, cut) for each in quotes)


def _is_in(quote: str, text: str, cut: bool) -> bool:
    ends = ((at, at + len(quote)) for at in _places(quote, text))
    return any(_is_whole(text, start, end, cut) for start, end in ends)


def _places(quote: str, text: str) -> Iterator[int]:
    at = text.find(quote)
    for _ in range(MAX_PLACES):
        if at < 0:
            return
        yield at
        at = text.find(quote, at + 1)


def _is_in_hyphenated(quote: str, text: str, cut: bool) -> bool:
    """The same where some words at line ends were joined, and others have kept their hyphens."""
    letters = [at for at, char in enumerate(text) if char not in ("-", JOINED, KEPT)]
    bare, wanted = "".join(text[at] for at in letters), quote.replace("-", "")
    dashes = len(quote) - len(quote.lstrip("-"))
    for place in _places(wanted, bare) if wanted else ():
        start = letters[place] - dashes
        end = _end_of_match(quote, text, start) if start >= 0 else None
        if end is not None and _is_whole(text, start, end, cut):
            return True
    return False


def _end_of_match(quote: str, text: str, at: int) -> int | None:
    """Where the quote ends that begins at this place of a text with marks; None if it differs."""
    done = 0
    while done < len(quote):
        if at >= len(text):
            return None
        char = text[at]
        if char == JOINED and quote[done] != "-":
            at += 1
            continue
        if char != quote[done] and not (char in (JOINED, KEPT) and quote[done] == "-"):
            return None
        at, done = at + 1, done + 1
    return at


def _is_whole(text: str, start: int, end: int, cut: bool) -> bool:
    """Whether what stands around a passage leaves its first and its last word as they are."""
    before, after = text[max(start - 20, 0) : start], text[end : end + 20]
    first, last = text[start], text[end - 1]
    if before and _begins_inside(before, first, text[start + 1 : start + 2]):
        return False
    return not after or (cut and _is_word(after[0])) or not _ends_inside(last, after)


def _begins_inside(before: str, first: str, second: str) -> bool:
    last, earlier = before[-1], before[-2:-1]
    if _joins(last, first) or unicodedata.category(first).startswith("M"):
        return True
    if first == "-" and second.isdigit():
        return last.isalnum()  # a range or a compound: the quote would have a minus sign
    if first.isdigit():
        if last in _COMPARISONS or (last in "-." and not earlier.isalnum()):
            return True
        return last in _INSIDE_NUMBERS and earlier.isdigit()
    return _NEGATION_BEFORE.search(before) is not None


def _ends_inside(last: str, after: str) -> bool:
    following, later = after[0], after[1:2]
    if unicodedata.category(following).startswith("M"):
        return True
    if last.isdigit():
        if following in _PARTS_OF_NUMBERS or _joins(last, following):
            return True
        return following in _INSIDE_NUMBERS and later.isdigit()
    if unicodedata.category(following) == "No":
        return False  # the number of a footnote
    return _joins(last, following) or _NEGATION_AFTER.match(after) is not None


def _joins(one: str, other: str) -> bool:
    """Whether both are in one word. Scripts without spaces have no such place."""
    return _is_word(one) and _is_word(other)


def _is_word(char: str) -> bool:
    code = ord(char)
    return char.isalnum() and (code < 0x0E00 or 0x1E00 <= code < 0x2000 or 0xA640 <= code < 0xA800)
