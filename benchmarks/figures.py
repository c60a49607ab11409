"""Pure: samples in, figures with their aims out."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Sample = dict[str, float]
"""What one round measured, by name. Every round of a row has the same names."""


@dataclass(frozen=True)
class Aim:
    """What a figure should be."""

    sense: Literal["<=", ">="]
    value: float

    def met(self, value: float) -> bool:
        return value <= self.value if self.sense == "<=" else value >= self.value

    def __str__(self) -> str:
        return f"{self.sense} {self.value:g}"


@dataclass(frozen=True)
class Figure:
    """One line of the table. `low` and `high` are the extremes of the rounds."""

    row: str
    name: str
    value: float
    unit: str
    low: float
    high: float
    rounds: int
    aim: Aim | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        return None if self.aim is None else self.aim.met(self.value)

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "aim": str(self.aim) if self.aim else None, "met": self.met}


def at_most(value: float) -> Aim:
    return Aim("<=", value)


def at_least(value: float) -> Aim:
    return Aim(">=", value)


def figure(
    row: str,
    name: str,
    values: Sequence[float],
    unit: str,
    aim: Aim | None = None,
    note: str = "",
) -> Figure:
    """The median of the rounds."""
    middle = statistics.median(values)
    return Figure(row, name, middle, unit, min(values), max(values), len(values), aim, note)


def column(samples: Sequence[Sample], name: str) -> list[float]:
    return [sample[name] for sample in samples]


def ratios(samples: Sequence[Sample], ours: str, theirs: str) -> list[float]:
    """Round by round: what disturbs the machine for a while disturbs both sides of a pair."""
    return [sample[ours] / sample[theirs] for sample in samples]


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of all values do not exceed (nearest rank)."""
    if not values or not 0 < share <= 1:
        raise ValueError(f"no percentile {share} of {len(values)} values")
    ordered = sorted(values)
    rank = -(-len(ordered) * round(share * 10_000) // 10_000)
    return ordered[rank - 1]


def table(figures: Sequence[Figure]) -> str:
    """Plain lines: fit for a terminal, a log and a document."""
    head = ("row", "figure", "median", "low … high", "rounds", "aim", "")
    lines = [head, *(_cells(each) for each in figures)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    shown = []
    for line in lines:
        cells = [
            cell.rjust(width) if i in (2, 3, 4) else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        shown.append("  ".join(cells).rstrip())
    return "\n".join(shown)


def _cells(each: Figure) -> tuple[str, ...]:
    verdict = {True: "met", False: "NOT MET", None: ""}[each.met]
    aim = f"{each.aim} {each.unit}" if each.aim else ""
    name = f"{each.name} ({each.note})" if each.note else each.name
    span = f"{number(each.low)} … {number(each.high)}"
    value = f"{number(each.value)} {each.unit}"
    return (each.row, name, value, span, str(each.rounds), aim, verdict)


def number(value: float) -> str:
    """Three digits that count, whole numbers whole."""
    if abs(value) >= 100 or value == int(value):
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
