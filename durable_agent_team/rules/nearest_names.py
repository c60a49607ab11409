"""Proposes the name that was probably meant."""

import difflib
from collections.abc import Collection, Iterable
from itertools import islice

MAX_NAMES = 1_000
"""Characters of the names that a remedy lists."""
MAX_COMPARED = 2_000
"""Names: comparing takes some microseconds for each, and more for long ones."""
MAX_WORK = 500_000
"""For comparing one name with all others: its characters times theirs. Half a million takes a tenth
of a second, where the names are alike."""
MAX_PROPOSALS = 3
"""For one input that runs check: with these, its other unknown names are no longer compared."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that looks most like it, whatever the case; None if none does."""
    wanted = name.lower()[:200]
    by_lower: dict[str, str] = {}
    work = 0
    for each in islice(known, MAX_COMPARED):
        work += len(each) * len(wanted)
        if work > MAX_WORK:
            break
        by_lower[each.lower()] = each
    found = difflib.get_close_matches(wanted, by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else None


def choice(name: str, known: Collection[str]) -> str:
    """A remedy: the name that was probably meant, or the known ones.

    >>> choice("reserch", ["editor", "research"])
    'did you mean `research`?'
    >>> choice("poet", ["editor", "research"])
    'one of: editor, research'
    """
    close = nearest(name, known)
    return f"did you mean `{close}`?" if close is not None else listed(known)


def listed(known: Collection[str]) -> str:
    """The same remedy, without a comparison."""
    names = ", ".join(islice(known, MAX_NAMES))
    return f"one of: {names}"[:MAX_NAMES] if names else "there are none"


class Remedies:
    """The remedies for the unknown names of one input, which may have a hundred.

    Only the first ones are compared: a workflow has two seconds for all that it does at once.
    """

    def __init__(self) -> None:
        self._left = MAX_PROPOSALS

    def choice(self, name: str, known: Collection[str]) -> str:
        """Like the function of this name, as long as there are comparisons left."""
        if not self._left:
            return listed(known)
        self._left -= 1
        return choice(name, known)
