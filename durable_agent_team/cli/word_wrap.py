"""Pure: lines that fit a terminal, broken between words only."""

import re
import unicodedata

LEAST = 20
"""Columns; a narrower terminal breaks lines itself."""

_ON_ANOTHER = frozenset({"Mn", "Me", "Cf"})
"""Unicode categories of what takes no column of its own: marks on letters, and joiners."""


def cells(text: str) -> int:
    """The columns of a terminal that a text takes."""
    if text.isascii():
        return len(text)
    return sum(_cells_of(char) for char in text)


def _cells_of(char: str) -> int:
    if unicodedata.category(char) in _ON_ANOTHER:
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def wrap_line(line: str, width: int, hang: str | None = None) -> list[str]:
    """The line in pieces of at most `width` columns. A word that is longer stands alone, whole.

    What follows the first piece is indented by `hang`; as the line itself is, if that is left out.
    """
    if cells(line) <= width or width < LEAST:
        return [line]
    indent = line[: len(line) - len(line.lstrip(" "))]
    hang = indent if hang is None else hang
    lines, current = [], indent
    empty = True
    for word in line.split():
        longer = current + ("" if empty else " ") + word
        if not empty and cells(longer) > width:
            lines.append(current)
            longer = hang + word
        current, empty = longer, False
    return [*lines, current]


def clip_words(text: str, width: int) -> str:
    """One line of at most `width` columns, cut after a word where one fits."""
    flat = " ".join(text.split())
    if cells(flat) <= width:
        return flat
    kept = ""
    for word in re.findall(r"\S+\s*", flat):
        if cells(kept + word.rstrip()) > width - 2:
            break
        kept += word
    if kept:
        return f"{kept.rstrip()} …"
    while flat and cells(flat) > width - 1:
        flat = flat[:-1]
    return f"{flat}…"
