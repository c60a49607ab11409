"""Pure: places the tasks of a plan in columns, and leads every dependency past the boxes between.

As in Sugiyama's method: a dependency that spans several columns gets a lane in each of them, the
columns are sorted so that few lines cross, and boxes move towards what they are connected with.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import fmean

from durable_agent_team.cli.ui.graph_layers import Planned, depths

GAP_X, BETWEEN_BOXES, BETWEEN_LANES = 56, 14.0, 9.0
PORT, MARGIN = 7, 10
"""Pixels between two lines that end at the same box, and above the first one."""
ROUNDS = 12
Point = tuple[float, float]


@dataclass(eq=False)
class Item:
    """A box, or the lane of one dependency in one column."""

    task: str | None
    column: int
    height: float = 0.0
    before: list["Item"] = field(default_factory=list)
    after: list["Item"] = field(default_factory=list)
    rank: int = 0
    middle: float = 0.0

    @property
    def top(self) -> float:
        return self.middle - self.height / 2


@dataclass(frozen=True)
class Layout:
    """In pixels. Boxes by task: left, top, height. Each edge: tasks, and the points it leads by."""

    width: float
    height: float
    boxes: dict[str, tuple[float, float, float]]
    edges: list[tuple[str, str, list[Point]]]


def lanes_of(tasks: Sequence[Planned]) -> int:
    """How many lanes a layout has to lead past boxes: a measure of how dense a plan is."""
    deep = depths(tasks)
    spans = (
        deep[task.id] - deep[each] for task in tasks for each in task.depends_on if each in deep
    )
    return sum(span - 1 for span in spans)


def layout(tasks: Sequence[Planned], box_width: float, box_height: float) -> Layout:
    """Every task in the column of its depth."""
    deep = depths(tasks)
    boxes = {task.id: Item(task.id, deep[task.id]) for task in tasks}
    columns: list[list[Item]] = [[] for _ in range(max(deep.values(), default=0) + 1)]
    for item in boxes.values():
        columns[item.column].append(item)
    routes = [
        (each, task.id, _route(boxes[each], boxes[task.id], columns))
        for task in tasks
        for each in dict.fromkeys(task.depends_on)
        if each in boxes
    ]
    for item in boxes.values():
        lines = max(len(item.before), len(item.after))
        item.height = max(box_height, 2 * MARGIN + PORT * (lines - 1))
    _sort(columns)
    _place(columns)
    top = min((item.top for column in columns for item in column), default=0.0) - MARGIN
    for column in columns:
        for item in column:
            item.middle -= top
    pitch = box_width + GAP_X
    return Layout(
        width=len(columns) * pitch - GAP_X + 2,
        height=max((i.middle + i.height / 2 for c in columns for i in c), default=0.0) + MARGIN,
        boxes={name: (i.column * pitch + 1, i.top, i.height) for name, i in boxes.items()},
        edges=[(*ends, _points(route, pitch, box_width)) for *ends, route in routes],  # type: ignore[misc]
    )


def _route(start: Item, end: Item, columns: list[list[Item]]) -> list[Item]:
    """The start, a new lane in each column between, and the end; connected with each other."""
    lanes = [Item(None, column) for column in range(start.column + 1, end.column)]
    for lane in lanes:
        columns[lane.column].append(lane)
    route = [start, *lanes, end]
    for left, right in pairwise(route):
        left.after.append(right)
        right.before.append(left)
    return route


def _sort(columns: list[list[Item]]) -> None:
    """Sorts each column by where its items are connected, back and forth; keeps the best order."""
    _rank(columns)
    best, fewest = [list(column) for column in columns], _crossings(columns)
    for turn in range(ROUNDS):
        forward = turn % 2 == 0
        order = columns[1:] if forward else columns[-2::-1]
        for column in order:
            column.sort(key=lambda item: _mean_rank(item.before if forward else item.after, item))
            for rank, item in enumerate(column):
                item.rank = rank
        crossings = _crossings(columns)
        if crossings < fewest:
            best, fewest = [list(column) for column in columns], crossings
        if not fewest:
            break
    columns[:] = best
    _rank(columns)


def _rank(columns: list[list[Item]]) -> None:
    for column in columns:
        for rank, item in enumerate(column):
            item.rank = rank


def _mean_rank(neighbours: list[Item], item: Item) -> float:
    return fmean(each.rank for each in neighbours) if neighbours else item.rank


def _crossings(columns: list[list[Item]]) -> int:
    """How often two lines cross between neighbouring columns, counted by inversions."""
    found = 0
    for column in columns[:-1]:
        seen: list[int] = []
        for item in column:
            ends = sorted(each.rank for each in item.after)
            found += sum(earlier > end for end in ends for earlier in seen)
            seen += ends
    return found


def _place(columns: list[list[Item]]) -> None:
    """Moves every item towards the mean of its neighbours, as far as the others leave room."""
    for column in columns:
        _settle(column, lambda item: 0.0)
    for turn in range(ROUNDS):
        forward = turn % 2 == 0
        for column in columns if forward else reversed(columns):
            _settle(column, _after_the_left if forward else _before_the_right)


def _after_the_left(item: Item) -> float:
    return _mean_middle(item.before or item.after, item)


def _before_the_right(item: Item) -> float:
    return _mean_middle(item.after or item.before, item)


def _mean_middle(neighbours: list[Item], item: Item) -> float:
    return fmean(each.middle for each in neighbours) if neighbours else item.middle


def _settle(column: list[Item], wanted: Callable[[Item], float]) -> None:
    """The places with the least squared distance from the wanted ones, in order and apart: isotonic
    regression by pooling adjacent violators."""
    offsets, offset = [], 0.0
    for place, item in enumerate(column):
        if place:
            last = column[place - 1]
            lanes = item.task is None and last.task is None
            gap = BETWEEN_LANES if lanes else BETWEEN_BOXES
            offset += last.height / 2 + gap + item.height / 2
        offsets.append(offset)
    pools: list[tuple[float, int]] = []
    for item, offset in zip(column, offsets, strict=True):
        mean, size = wanted(item) - offset, 1
        while pools and pools[-1][0] > mean:
            other, count = pools.pop()
            mean, size = (mean * size + other * count) / (size + count), size + count
        pools.append((mean, size))
    means = [mean for mean, size in pools for _ in range(size)]
    for item, offset, mean in zip(column, offsets, means, strict=True):
        item.middle = mean + offset


def _points(route: list[Item], pitch: float, box_width: float) -> list[Point]:
    """Where a line leaves its first box, enters and leaves each column, and ends."""
    points = [(route[0].column * pitch + 1 + box_width, _port(route[0], route[0].after, route[1]))]
    for lane in route[1:-1]:
        left = lane.column * pitch + 1
        points += [(left, lane.middle), (left + box_width, lane.middle)]
    end = route[-1]
    return [*points, (end.column * pitch + 1, _port(end, end.before, route[-2]))]


def _port(box: Item, connected: list[Item], other: Item) -> float:
    """Lines end at a box in the order of where they come from, so that they do not cross there."""
    ordered = sorted(connected, key=lambda each: each.rank)
    place = next(n for n, each in enumerate(ordered) if each is other)
    return box.middle + (place - (len(ordered) - 1) / 2) * PORT
