"""A review's changes to a plan: what is done again, dropped and added."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from durable_agent_team.contracts.plan import Plan
from durable_agent_team.contracts.run import TaskStatus
from durable_agent_team.contracts.team import Task
from durable_agent_team.rules.graph import with_dependants

MAX_ADDED = 3
"""Tasks that one review in the narrow form may add."""

MAX_LINE = 200

_ADDED_ID = re.compile(r"review\d+-\d+")


@dataclass(frozen=True)
class Review:
    """If all are empty, the plan is unchanged and the run continues with its answer."""

    redo: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    add: tuple[Task, ...] = ()

    @property
    def finishes(self) -> bool:
        return not (self.redo or self.drop or self.add)


def added_id(number: int, index: int) -> str:
    """The id of a task that the review of this number adds; `index` counts from 1."""
    return f"review{number}-{index}"


def is_added(task_id: str) -> bool:
    """Whether a review added this task. A team's own `review-texts` does not match."""
    return _ADDED_ID.fullmatch(task_id) is not None


def to_do_again(plan: Plan, redo: Collection[str]) -> set[str]:
    """The tasks to redo and everything that depends on them."""
    return with_dependants({task.id: task.depends_on for task in plan.tasks}, redo)


def revised(plan: Plan, review: Review) -> Plan:
    """The plan with the review's changes. Others do not depend on what is dropped any more."""
    dropped = set(review.drop)
    kept = [
        task.model_copy(
            update={"depends_on": tuple(each for each in task.depends_on if each not in dropped)}
        )
        for task in plan.tasks
        if task.id not in dropped
    ]
    tasks = (*kept, *review.add)
    return plan.model_copy(update={"tasks": tasks}) if tasks else plan


def tasks_listed(
    plan: Plan, status: Mapping[str, TaskStatus], failures: Mapping[str, str]
) -> list[str]:
    """How the prompt of a review begins: every task with its status."""
    lines = ["These are the tasks of your team, and what became of them:", ""]
    for task in plan.tasks:
        failed = f" ({_one_line(failures[task.id])})" if task.id in failures else ""
        lines.append(f"- {task.id}, {task.agent}, {status[task.id]}{failed}: {_one_line(task.ask)}")
    return lines


def _one_line(text: str) -> str:
    """So that a text of another agent or provider cannot add tasks to the list."""
    return " ".join(text.split())[:MAX_LINE]
