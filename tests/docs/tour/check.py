"""Checks that an error message is useful to the person who reads it."""

from collections.abc import Iterator

from tests.docs.tour.case import Case, Output

INTERNALS = (
    "Traceback",
    "ValidationError",
    "tonic",
    "pydantic",
    "site-packages",
    "[Errno",
    "TMPRL",
)
"""Internals that do not help a person who made a mistake."""


def problems_of(case: Case, output: Output) -> Iterator[str]:
    """Yields what is wrong with the output of a case."""
    where = f"{case.title} (`{case.command[:60]}`)"
    if output.code != case.code:
        yield f"{where}: ends with {output.code}, not {case.code}:\n{output.text}"
    for piece in case.says:
        if piece not in output.text:
            yield f"{where}: does not contain {piece!r}:\n{output.text}"
    for piece in INTERNALS:
        if piece in output.text:
            yield f"{where}: shows {piece!r}:\n{output.text}"
