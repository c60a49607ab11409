"""Unknown names in large plans get remedies in a bounded time: a workflow has two seconds."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from durable_agent_team.contracts.plan import Plan
from durable_agent_team.contracts.team import Agent, Task, Team
from durable_agent_team.contracts.text_ref import Text
from durable_agent_team.rules.briefing import Briefing
from durable_agent_team.rules.nearest_names import MAX_PROPOSALS, nearest
from durable_agent_team.rules.plan_checks import planned_problems
from durable_agent_team.rules.validation import MAX_PROBLEMS, added_task_problems, task_problems
from durable_agent_team.rules.whole_reviews import parse_review
from tests.support.cpu_time import cpu_within

MOST_SECONDS = 1.0
LIKE = "a" * 35
IDS = [f"{LIKE}{n:05d}" for n in range(2_000)]
UNKNOWN = tuple(f"{LIKE}{n:05d}" for n in range(5_000, 6_000))
TEAM = Team(name="t", goal="x", agents={"a": Agent(role="R")}, max_tasks=5_000)
DOCUMENTS: dict[str, Text] = {f"{'x' * 190}{n}.md": "text" for n in range(1_000)}


def task(task_id: str, **more: Any) -> Task:
    return Task.model_validate({"id": task_id, "agent": "a", "ask": "Do it.", **more})


TASKS = tuple(task(each) for each in IDS)
BRIEFING = Briefing(team=TEAM, goal="Know all about trees.", documents=DOCUMENTS)
READS = [f"{'x' * 190}{n}.txt" for n in range(50)]
CASES: dict[str, Callable[[], Any]] = {
    "a task that is added": lambda: added_task_problems(TEAM, IDS, task("new", depends_on=UNKNOWN)),
    "a plan": lambda: task_problems(
        TEAM, (*TASKS, *(task(f"n{n}", depends_on=UNKNOWN[:20]) for n in range(100)))
    ),
    "documents of a plan": lambda: planned_problems(
        BRIEFING, [task(f"n{n}", inputs=READS) for n in range(100)]
    ),
    "a review": lambda: parse_review(
        json.dumps({"redo": UNKNOWN * 4, "drop": UNKNOWN * 4}), BRIEFING, Plan(tasks=TASKS), 1
    ),
}


@pytest.mark.parametrize("what", CASES)
def test_a_thousand_unknown_names_take_a_bounded_time(what: str) -> None:
    with cpu_within(MOST_SECONDS):
        problems = CASES[what]()
    assert MAX_PROPOSALS < len(problems) <= 2 * MAX_PROBLEMS + 2
    proposed = [each for each in problems if each.remedy.startswith("did you mean")]
    assert 1 <= len(proposed) <= 2 * MAX_PROPOSALS, "the first ones are compared"


def test_a_name_of_few_is_always_found() -> None:
    known = [*(f"t{n}" for n in range(1_900)), "research"]
    assert nearest("reserch", known) == "research"
