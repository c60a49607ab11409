# ruff: noqa: PT017  what is refused is one of two outcomes
"""What a message costs to read, at every maximum, stays far below a workflow task's 2 s.

CPU time of this thread: on a busy machine, other processes add to elapsed time.
"""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

from durable_agent_team.contracts.control import (
    AdjustBudget,
    Adjustment,
    Approve,
    Cancel,
    SpendQuery,
    StateQuery,
    TaskCommand,
    Transfer,
)
from durable_agent_team.contracts.run import RunRequest
from durable_agent_team.contracts.team import Task
from durable_agent_team.rules.goal_check import goal_problems
from durable_agent_team.rules.validation import team_problems
from durable_agent_team.rules.value_limits import MESSAGE, START
from workflows.messages import BadMessage, parse

MESSAGE_SECONDS = 0.5
START_SECONDS = 1.5
MODELS: list[type[BaseModel]] = [
    Adjustment, AdjustBudget, Approve, Cancel, SpendQuery, StateQuery, Task, TaskCommand, Transfer,
]  # fmt: skip


def nested(value: Any) -> Any:
    for _ in range(MESSAGE.depth - 2):
        value = [value]
    return value


def objects(number: int, keys: int) -> list[dict[str, int]]:
    return [{f"k{key}": 1 for key in range(keys)} for _ in range(number)]


def task(**changes: Any) -> dict[str, Any]:
    return {"kind": "add_task", "id": "more", "agent": "editor", "ask": "x", **changes}


LARGEST: dict[str, dict[str, Any]] = {
    "values": task(depends_on=[[1] * 1_900] * 5),
    "unknown keys": {f"k{n}": 1 for n in range(MESSAGE.entries)},
    "keys": task(depends_on=objects(2, 1_900)),
    "characters": task(ask="x" * (MESSAGE.characters - 100)),
    "characters of a key": task(output={"x" * 1_000: 1}),
    "depth": task(output=nested({})),
    "a schema of alternatives": task(output={"anyOf": [{"type": "string"}] * 1_900}),
    "dependencies": task(depends_on=[f"t{n}" for n in range(MESSAGE.entries)]),
    "wrong dependencies": task(depends_on=["Not an id!"] * MESSAGE.entries),
    "inputs": task(inputs=["x.md"] * MESSAGE.entries),
    "pages": {"page": "9" * 30, "note": "\u200b" * 100_000, "reason": "é" * 99_000},
}


def cpu_seconds(work: Callable[[], object]) -> float:
    before = time.thread_time()
    work()
    return time.thread_time() - before


@pytest.mark.parametrize("what", LARGEST)
@pytest.mark.parametrize("model", MODELS)
def test_the_largest_message_is_read_or_refused_in_time(model: type[BaseModel], what: str) -> None:
    payload = json.loads(json.dumps(LARGEST[what]))

    def read() -> None:
        try:
            parse(model, payload, (), MESSAGE)
        except BadMessage as refused:
            assert len(str(refused)) <= 2_000

    assert cpu_seconds(read) < MESSAGE_SECONDS


def team(tasks: int, **of_each: Any) -> dict[str, Any]:
    return {
        "name": "large",
        "goal": "Know everything about trees.",
        "orchestrator": {"budget_usd": 1},
        "agents": {f"a{n}": {"role": "R", "budget_usd": 1} for n in range(100)},
        "max_tasks": 1_000,
        "tasks": [
            {"id": f"t{n}", "agent": f"a{n % 100}", "ask": f"Do {n}.", **of_each}
            for n in range(tasks)
        ],
    }


STARTS: dict[str, dict[str, Any]] = {
    "tasks": {"team": team(1_000)},
    "unknown dependencies": {"team": team(1_000, depends_on=[f"x{n}" for n in range(150)])},
    "dependencies on all": {"team": team(400, depends_on=[f"t{n}" for n in range(400)])},
    "unknown keys": {"team": team(1_000, **{f"k{n}": 1 for n in range(50)})},
    "values": {"team": team(100, inputs=[[1] * 1_900])},
    "documents": {"team": team(1), "sources": {f"{n}.md": "x" * 7_000 for n in range(1_000)}},
}


@pytest.mark.parametrize("what", STARTS)
def test_the_largest_start_is_read_or_refused_in_time(what: str) -> None:
    payload = json.loads(json.dumps(STARTS[what]))

    def read() -> None:
        try:
            request = parse(RunRequest, payload, (), START)
        except BadMessage as refused:
            assert len(str(refused)) <= 2_000
        else:
            assert len(team_problems(request)) <= 101

    assert cpu_seconds(read) < START_SECONDS


def test_a_long_ask_is_compared_with_a_long_goal_in_time() -> None:
    goal = "to know all about trees and the woods they make " * 400
    asks = [goal[:-40] + "x", goal[1:] + "y", "tree " * 4_000, "\u200b" * 20_000]
    tasks = [Task.model_construct(id=f"t{n}", agent="a", ask=ask) for n, ask in enumerate(asks)]
    assert cpu_seconds(lambda: goal_problems(tuple(tasks), goal)) < MESSAGE_SECONDS
