"""Pure: the plot of the comparison, as SVG that needs nothing to be seen."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Points = Sequence[tuple[float, float]]

WIDTH, HEIGHT = 920, 420
PANEL_WIDTH, PANEL_HEIGHT = 330, 270
LEFT, TOP, GAP = 62, 48, 100
COLOURS = ("#8c8c8c", "#444444", "#1b9e77", "#66a61e", "#7570b3", "#e6ab02", "#d95f02", "#e7298a")
"""Distinguishable with the common colour blindnesses; lines also differ in their marks."""
MARKS = ("circle", "square", "triangle", "diamond")


@dataclass(frozen=True)
class Panel:
    """Both axes are logarithmic."""

    title: str
    lines: Mapping[str, Points]


@dataclass(frozen=True)
class Scale:
    """From a value to a place on paper."""

    low: float
    high: float
    begin: float
    end: float

    def __call__(self, value: float) -> float:
        share = (math.log10(value) - math.log10(self.low)) / (
            math.log10(self.high) - math.log10(self.low)
        )
        return round(self.begin + share * (self.end - self.begin), 1)


def plot(panels: Sequence[Panel], across: str, up: str) -> str:
    """Panels side by side, one legend for all of them below."""
    names = list(dict.fromkeys(name for panel in panels for name in panel.lines))
    body = [f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>']
    for number, panel in enumerate(panels):
        body += _panel(panel, names, LEFT + number * (PANEL_WIDTH + GAP), across, up)
    body += _legend(names)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
            f' width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="11">',
            *body,
            "</svg>\n",
        ]
    )


def _panel(panel: Panel, names: Sequence[str], left: float, across: str, up: str) -> list[str]:
    points = [point for line in panel.lines.values() for point in line]
    floor, ceiling = _decade(min(y for _, y in points)), _decade(max(y for _, y in points), True)
    x = Scale(min(x for x, _ in points), max(x for x, _ in points), left, left + PANEL_WIDTH)
    y = Scale(floor, ceiling, TOP + PANEL_HEIGHT, TOP)
    found = [_text(left + 16, TOP - 16, panel.title, size=13, weight="bold")]
    for tick in sorted({each for each, _ in points}):
        found.append(_text(x(tick), TOP + PANEL_HEIGHT + 16, f"{tick:g}", anchor="middle"))
    for tick in _ticks(floor, ceiling):
        found.append(
            f'<line x1="{left}" x2="{left + PANEL_WIDTH}" y1="{y(tick)}" y2="{y(tick)}"'
            f' stroke="#dddddd"/>'
        )
        found.append(_text(left - 6, y(tick) + 4, f"{tick:g}", anchor="end"))
    middle = left + PANEL_WIDTH / 2
    found.append(_text(middle, TOP + PANEL_HEIGHT + 34, across, anchor="middle"))
    found.append(_text(left - 44, TOP - 16, up, size=10))
    for name, line in panel.lines.items():
        found += _line(names.index(name), [(x(a), y(b)) for a, b in line])
    return found


def _line(number: int, places: Points) -> list[str]:
    colour = COLOURS[number % len(COLOURS)]
    path = " ".join(f"{x},{y}" for x, y in places)
    drawn = [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.8"/>']
    return [*drawn, *(_mark(number, x, y) for x, y in places)]


def _mark(number: int, x: float, y: float) -> str:
    colour = COLOURS[number % len(COLOURS)]
    match MARKS[number % len(MARKS)]:
        case "circle":
            return f'<circle cx="{x}" cy="{y}" r="3.5" fill="{colour}"/>'
        case "square":
            return f'<rect x="{x - 3}" y="{y - 3}" width="6" height="6" fill="{colour}"/>'
        case "triangle":
            corners = f"{x},{y - 4} {x - 4},{y + 3} {x + 4},{y + 3}"
        case _:
            corners = f"{x},{y - 4} {x + 4},{y} {x},{y + 4} {x - 4},{y}"
    return f'<polygon points="{corners}" fill="{colour}"/>'


def _legend(names: Sequence[str]) -> list[str]:
    """Two lines of names below the panels."""
    columns = -(-len(names) // 2)
    width = (WIDTH - LEFT) / columns
    found = []
    for number, name in enumerate(names):
        x = LEFT + number % columns * width
        y = HEIGHT - 34 + number // columns * 18
        found += [_mark(number, x, y - 4), _text(x + 9, y, name)]
    return found


def _text(
    x: float, y: float, text: str, *, anchor: str = "start", size: int = 11, weight: str = "normal"
) -> str:
    safe = text.replace("&", "&amp;").replace("<", "&lt;")
    return (
        f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-size="{size}"'
        f' font-weight="{weight}" fill="#222222">{safe}</text>'
    )


def _ticks(floor: float, ceiling: float) -> list[float]:
    """1, 2, 5, 10, … of every decade in between."""
    first, last = math.floor(math.log10(floor)), math.ceil(math.log10(ceiling))
    all_of_them = [digit * 10.0**power for power in range(first, last + 1) for digit in (1, 2, 5)]
    return [tick for tick in all_of_them if floor <= tick <= ceiling]


def _decade(value: float, up: bool = False) -> float:
    """The next 1, 2 or 5 of a decade below a value, or above it."""
    ticks = _ticks(value / 10, value * 10)
    return min(t for t in ticks if t >= value) if up else max(t for t in ticks if t <= value)
