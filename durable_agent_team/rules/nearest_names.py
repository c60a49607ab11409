"""Proposes the name that was probably meant."""

import difflib
from collections.abc import Iterable

MAX_NAMES = 1_000
"""Characters of the names that a remedy lists."""
MAX_COMPARED = 2_000
"""Names: comparing takes some microseconds for each."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that looks most like it, whatever the case; None if none does."""
    by_lower = {each.lower(): each for each in list(known)[:MAX_COMPARED]}
    found = difflib.get_close_matches(name.lower()[:200], by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else None


def choice(name: str, known: Iterable[str]) -> str:
    """A remedy: the name that was probably meant, or the known ones.

    >>> choice("reserch", ["editor", "research"])
    'did you mean `research`?'
    >>> choice("poet", ["editor", "research"])
    'one of: editor, research'
    """
    names = list(known)
    close = nearest(name, names)
    if close is not None:
        return f"did you mean `{close}`?"
    return f"one of: {', '.join(names) or 'none'}"[:MAX_NAMES]
