"""Reviews: the orchestrator sees what is done and what failed, and revises the plan or finishes.

The answer's schema is derived from the run, so that it cannot name an unknown task or agent; the
answer is checked anyway.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any

from pydantic import Field, ValidationError

from durable_agent_team.contracts.base import Message
from durable_agent_team.contracts.plan import Plan, Problem
from durable_agent_team.contracts.run import TaskStatus
from durable_agent_team.contracts.team import Checks, Identifier, Task, Team
from durable_agent_team.rules import model_json
from durable_agent_team.rules.goal_check import goal_problems
from durable_agent_team.rules.graph import with_dependants
from durable_agent_team.rules.validation import task_problems

MAX_ADDED = 3
"""Tasks that one review may add."""

MAX_ASK = 400
MAX_LINE = 200
MAX_SHOWN = 4_000
"""Characters of each hand-off in the prompt of a review."""

_ADDED_ID = re.compile(r"review\d+-\d+")


class AddedTask(Message):
    """A further task as the orchestrator writes it; its id is generated."""

    agent: Identifier
    ask: str = Field(min_length=1, max_length=8_000)
    depends_on: tuple[Identifier, ...] = Field((), max_length=200)


class Review(Message):
    """If all are empty, the plan is unchanged and the run continues with its answer."""

    redo: tuple[str, ...] = Field((), max_length=200)
    drop: tuple[str, ...] = Field((), max_length=200)
    add: tuple[AddedTask, ...] = Field((), max_length=MAX_ADDED)

    @property
    def finishes(self) -> bool:
        return not (self.redo or self.drop or self.add)


def review_schema(
    team: Team, status: Mapping[str, TaskStatus], result: str | None
) -> dict[str, Any]:
    """The JSON Schema of a review: only this run's tasks and agents."""
    done = [task_id for task_id, each in status.items() if each is TaskStatus.DONE]
    droppable = [
        task_id
        for task_id, each in status.items()
        if each is not TaskStatus.DONE and task_id != result
    ]
    added = {
        "type": "object",
        "properties": {
            "agent": {"type": "string", "enum": list(team.agents)},
            "ask": {"type": "string", "minLength": 10, "maxLength": MAX_ASK},
            "depends_on": _some_of(done),
        },
        "required": ["agent", "ask", "depends_on"],
        "additionalProperties": False,
    }
    room = min(MAX_ADDED, max(team.max_tasks - len(status), 0))
    return {
        "type": "object",
        "properties": {
            "redo": _some_of(list(status)),
            "drop": _some_of(droppable),
            "add": {"type": "array", "items": added, "maxItems": room},
        },
        "required": ["redo", "drop", "add"],
        "additionalProperties": False,
    }


def review_ask(status: Mapping[str, TaskStatus], plan: Plan, failures: Mapping[str, str]) -> str:
    """The prompt: every task with its status. Finished work is in the sources."""
    lines = ["These are the tasks of your team, and what became of them:", ""]
    for task in plan.tasks:
        failed = f" ({_line(failures[task.id])})" if task.id in failures else ""
        lines.append(f"- {task.id}, {task.agent}, {status[task.id]}{failed}: {_line(task.ask)}")
    lines += [
        "",
        "Judge by the goal. Answer with the tasks to redo, the failed ones to drop, and the ones to"
        " add. Each added ask is one narrow order and does not contain the goal. Where the results"
        " suffice for the goal, leave all three empty: then the final answer is written.",
    ]
    return "\n".join(lines)


def parse_review(
    answer: str, team: Team, plan: Plan, goal: str, number: int
) -> tuple[Review, Plan] | list[Problem]:
    """The review and the revised plan, or all its problems."""
    try:
        review = Review.model_validate(model_json.parse(answer))
    except (ValueError, ValidationError) as error:
        return [Problem(field="review", what=str(error)[:500])]
    known = {task.id for task in plan.tasks}
    problems = [
        Problem(field="review", value=each[:200], what="no such task")
        for each in (*review.redo, *review.drop)
        if each not in known
    ]
    if plan.result is not None and plan.result in review.drop:
        problems.append(Problem(field="review.drop", value=plan.result, what="it is the result"))
    revised = _revised(plan, review, number)
    problems += task_problems(team, revised.tasks)
    problems += goal_problems((task for task in revised.tasks if task.id not in known), goal)
    return problems or (review, revised)


def to_do_again(plan: Plan, redo: Collection[str]) -> set[str]:
    """The tasks to redo and everything that depends on them."""
    return with_dependants({task.id: task.depends_on for task in plan.tasks}, redo)


def is_added(task_id: str) -> bool:
    """Whether a review added this task. A team's own `review-texts` does not match."""
    return _ADDED_ID.fullmatch(task_id) is not None


def _line(text: str) -> str:
    """One line, so that a text of another agent or provider cannot add tasks to the list."""
    return " ".join(text.split())[:MAX_LINE]


def _added_id(number: int, index: int) -> str:
    return f"review{number}-{index}"


def _revised(plan: Plan, review: Review, number: int) -> Plan:
    dropped = set(review.drop)
    kept = [
        task.model_copy(
            update={"depends_on": tuple(each for each in task.depends_on if each not in dropped)}
        )
        for task in plan.tasks
        if task.id not in dropped
    ]
    added = [
        Task(id=_added_id(number, index), agent=each.agent, ask=each.ask,
             depends_on=each.depends_on, checks=Checks())
        for index, each in enumerate(review.add, start=1)
    ]  # fmt: skip
    tasks = (*kept, *added)
    return plan.model_copy(update={"tasks": tasks}) if tasks else plan


def _some_of(names: list[str]) -> dict[str, Any]:
    if not names:
        return {"type": "array", "items": {"type": "string"}, "maxItems": 0}
    return {"type": "array", "items": {"type": "string", "enum": names}, "maxItems": len(names)}
