"""What every error owes to the person who meets it."""

from collections.abc import Iterator

from tests.docs.tour.case import Case, Told

UGLY = ("Traceback", "ValidationError", "tonic", "pydantic", "site-packages", "[Errno", "TMPRL")
"""Insides that are no concern of a person who made a slip."""


def amiss(case: Case, told: Told) -> Iterator[str]:
    """Why this error is not good enough."""
    where = f"{case.title} (`{case.command[:60]}`)"
    if told.code != case.code:
        yield f"{where}: ends with {told.code}, not {case.code}:\n{told.text}"
    for piece in case.says:
        if piece not in told.text:
            yield f"{where}: does not say {piece!r}:\n{told.text}"
    for piece in UGLY:
        if piece in told.text:
            yield f"{where}: shows {piece!r}:\n{told.text}"
