"""One tool that reads, and one that counts its own effects."""

import time
from pathlib import Path

_SENTENCE = "The demand in region {n} grew by {n} percent in the quarter, line {line}. "
RESULT_CHARACTERS = 2_048


def look_up(n: int) -> str:
    """Reads the figures of one region.

    Args:
        n: The number of the region.
    """
    lines = "".join(_SENTENCE.format(n=n, line=line) for line in range(50))
    return lines[:RESULT_CHARACTERS]


def count(n: int, file: str, seconds: float) -> str:
    """Has an effect: adds a line to a file; then it takes a while to answer.

    Args:
        n: What the line says.
        file: The file.
        seconds: How long it takes.
    """
    with Path(file).open("a", encoding="utf-8") as effects:
        effects.write(f"{n}\n")
    time.sleep(seconds)
    return f"counted {n}"
