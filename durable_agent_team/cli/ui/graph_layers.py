"""Pure: the tasks of a plan in layers, and which of them to show where space is short."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from durable_agent_team.contracts.run import TaskState, TaskStatus

URGENCY = {
    TaskStatus.RUNNING: 0,
    TaskStatus.PARKED: 1,
    TaskStatus.FAILED: 2,
    TaskStatus.READY: 3,
    TaskStatus.BLOCKED: 4,
    TaskStatus.WAITING: 5,
    TaskStatus.SKIPPED: 6,
    TaskStatus.CANCELLED: 7,
    TaskStatus.DONE: 8,
}


class Planned(Protocol):
    """A task with its dependencies."""

    @property
    def id(self) -> str: ...

    @property
    def depends_on(self) -> tuple[str, ...]: ...


P = TypeVar("P", bound=Planned)


def depths(tasks: Sequence[Planned]) -> dict[str, int]:
    """For each task, the length of the longest chain of tasks before it."""
    after = {task.id: task.depends_on for task in tasks}
    found: dict[str, int] = {}
    for start in after:
        stack = [start]
        while stack:
            task = stack[-1]
            unknown = [each for each in after[task] if each in after and each not in found]
            if unknown and len(stack) <= len(after):
                stack.append(unknown[0])
                continue
            before = [found[each] for each in after[task] if each in found]
            found[task] = 1 + max(before, default=-1)
            stack.pop()
    return found


def layered(tasks: Sequence[P]) -> list[tuple[P, int]]:
    """Every task with its depth, after the tasks that it depends on."""
    deep = depths(tasks)
    return sorted(((task, deep[task.id]) for task in tasks), key=lambda pair: pair[1])


def fitting(rows: Sequence[tuple[TaskState, int]], room: int) -> list[tuple[TaskState, int]]:
    """The `room` most urgent rows, in their order."""
    if len(rows) <= room:
        return list(rows)
    ranked = sorted(range(len(rows)), key=lambda i: (URGENCY[rows[i][0].status], i))
    return [rows[i] for i in sorted(ranked[: max(room, 0)])]
