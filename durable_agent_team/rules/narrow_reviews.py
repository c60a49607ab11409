"""Reviews in the narrow form, for small models: asks of a line, and nothing else about a task.

The answer's schema is derived from the run, so that it cannot name an unknown task or agent; the
answer is checked anyway.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import Field, ValidationError

from durable_agent_team.contracts.base import Message
from durable_agent_team.contracts.plan import Plan, Problem
from durable_agent_team.contracts.run import TaskStatus
from durable_agent_team.contracts.team import Checks, Identifier, Task, Team
from durable_agent_team.rules import model_json
from durable_agent_team.rules.goal_check import goal_problems
from durable_agent_team.rules.revision import MAX_ADDED, Review, added_id, revised, tasks_listed
from durable_agent_team.rules.validation import task_problems

MAX_ASK = 400


class AddedTask(Message):
    """A further task as the orchestrator writes it; its id is generated."""

    agent: Identifier
    ask: str = Field(min_length=1, max_length=8_000)
    depends_on: tuple[Identifier, ...] = Field((), max_length=200)


class WrittenReview(Message):
    redo: tuple[str, ...] = Field((), max_length=200)
    drop: tuple[str, ...] = Field((), max_length=200)
    add: tuple[AddedTask, ...] = Field((), max_length=MAX_ADDED)


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
    lines = [
        *tasks_listed(plan, status, failures),
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
        written = WrittenReview.model_validate(model_json.parse(answer))
    except (ValueError, ValidationError) as error:
        return [Problem(field="review", what=str(error)[:500])]
    review = Review(written.redo, written.drop, tuple(_added(written.add, number)))
    known = {task.id for task in plan.tasks}
    problems = [
        Problem(field="review", value=each[:200], what="no such task")
        for each in (*review.redo, *review.drop)
        if each not in known
    ]
    if plan.result is not None and plan.result in review.drop:
        problems.append(Problem(field="review.drop", value=plan.result, what="it is the result"))
    changed = revised(plan, review)
    problems += task_problems(team, changed.tasks)
    problems += goal_problems((task for task in changed.tasks if task.id not in known), goal)
    return problems or (review, changed)


def _added(written: Iterable[AddedTask], number: int) -> Iterator[Task]:
    for index, each in enumerate(written, start=1):
        yield Task(
            id=added_id(number, index),
            agent=each.agent,
            ask=each.ask,
            depends_on=each.depends_on,
            checks=Checks(),
        )


def _some_of(names: list[str]) -> dict[str, Any]:
    if not names:
        return {"type": "array", "items": {"type": "string"}, "maxItems": 0}
    return {"type": "array", "items": {"type": "string", "enum": names}, "maxItems": len(names)}
