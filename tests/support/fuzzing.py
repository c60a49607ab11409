"""How many inputs a generating test makes, and how many it has made.

A test marked `@pytest.mark.fuzz` makes a bounded number in `make test`, and in `make fuzz` as many
as FUZZ_EXAMPLES says. Hypothesis's examples are counted by themselves; a test that generates in a
loop of its own reports them with `count`.
"""

import os
import re
from collections import Counter

COUNTS: Counter[str] = Counter()
"""Inputs by test. `tests/conftest.py` prints them."""


def examples(default: int, most: int | None = None) -> int:
    """FUZZ_EXAMPLES, but not above `most`; `default` where it is not set."""
    number = int(os.environ.get("FUZZ_EXAMPLES") or default)
    return number if most is None else min(number, most)


def count(generator: str, inputs: int = 1) -> None:
    """Adds inputs that a test generated without Hypothesis."""
    COUNTS[generator] += inputs


def count_hypothesis(test: str, statistics: str) -> None:
    """Adds the examples that Hypothesis's statistics of a test name."""
    found = re.findall(r"(\d+) (?:passing|failing)", statistics)
    COUNTS[test] += sum(map(int, found))


def summary() -> list[str]:
    """One line for each generator, and the sum."""
    lines = [f"{inputs:>8,} {generator}" for generator, inputs in sorted(COUNTS.items())]
    return [*lines, f"{COUNTS.total():>8,} in all"] if lines else []
