"""What a faithful copy of a text may change: its encoding and its typography, but no word, number
or sign.

Composed and decomposed accents are the same, and so are ligatures and their letters, kinds of
quotation marks, dashes and spaces, invisible characters, and how lines are broken. A word that is
hyphenated at the end of a line may be copied joined, or with its hyphen. Compatibility forms are
not the same: `10²` is not `102`.
"""

import re
import unicodedata
from collections.abc import Iterator

JOINED = "\uffff"
"""Stands for a hyphen at a line's end inside a word, which is left out or not. No character."""
KEPT = "\ufffe"
"""For one that joins a number, such as `COVID-` and `19`: it is never left out."""

_QUOTATION = {
    **dict.fromkeys("“”„‟«»〝〞″＂", '"'),
    **dict.fromkeys("‘’‚‛‹›′ʼ´＇", "'"),
}
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2043\u2212\ufe58\ufe63\uff0d"
_LIGATURES = {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"}
_INVISIBLE = (
    "\u00ad\u034f\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u2060\u2061\u2062\u2063\u2064\ufeff"
    "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufe0e\ufe0f"
)
_TYPOGRAPHY = str.maketrans(
    {
        **_QUOTATION,
        **_LIGATURES,
        **dict.fromkeys(_DASHES, "-"),
        **dict.fromkeys(_INVISIBLE, ""),
        "…": "...",
        "\u00b5": "\u03bc",  # the micro sign is the letter
    }
)
_LINE_END = re.compile(r"(?<=\w)[-\u2010\u00ad][ \t]*\r?\n[ \t]*(?=\w)")


def comparable(text: str) -> str:
    """One form for all faithful copies of a text, on one line. A hyphen at the end of a line is
    `JOINED` or `KEPT`, for `readings`."""
    if not text.isascii():
        text = text.replace(JOINED, "").replace(KEPT, "")
        text = unicodedata.normalize("NFC", text)
    if "\n" in text:
        text = _LINE_END.sub(_mark, text)
    if not text.isascii():
        text = unicodedata.normalize("NFC", text.translate(_TYPOGRAPHY))
    return " ".join(text.split())


def _mark(found: re.Match[str]) -> str:
    text = found.string
    is_word = text[found.start() - 1].isalpha() and text[found.end()].isalpha()
    return JOINED if is_word else KEPT


def has_marks(text: str) -> bool:
    return JOINED in text or KEPT in text


def readings(text: str) -> Iterator[str]:
    """A comparable text, with its hyphens at line ends left out, kept, and kept before a space."""
    if not has_marks(text):
        yield text
        return
    for joined, kept in (("", "-"), ("-", "-"), ("- ", "- ")):
        yield text.replace(JOINED, joined).replace(KEPT, kept)
