"""Checks of a team take as long for each task of a large one as for one of a small one."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from durable_agent_team.contracts.model_catalog import ModelCatalog
from durable_agent_team.contracts.run import RunRequest
from durable_agent_team.contracts.team import MAX_TASKS, Team
from durable_agent_team.rules.budgets import budgets_usd
from durable_agent_team.rules.estimate import estimate
from durable_agent_team.rules.size_limits import size_warnings
from durable_agent_team.rules.validation import team_problems
from durable_agent_team.team_files.yaml_document import read_yaml

SMALL = MAX_TASKS // 10


def request(count: int) -> RunRequest:
    """A chain of tasks, each with a document of its own."""
    tasks = [
        {
            "id": f"t{n}",
            "agent": f"a{n % 20}",
            "ask": "Say it.",
            "depends_on": [f"t{n - 1}"][:n],
            "inputs": [f"d{n}.md"],
        }
        for n in range(count)
    ]
    agents = {f"a{n}": {"role": "R", "model": "m"} for n in range(20)}
    return RunRequest(
        team=Team.model_validate(
            {
                "name": "wide",
                "goal": "Count.",
                "budget_usd": 10,
                "agents": agents,
                "tasks": tasks,
                "max_tasks": count,
                "orchestrator": {"model": "m"},
            }
        ),
        sources={f"d{n}.md": "A document." for n in range(count)},
    )


CHECKS: dict[str, Callable[[RunRequest], Any]] = {
    "problems": lambda given: team_problems(given, ModelCatalog()),
    "sizes": size_warnings,
    "estimate": lambda given: estimate(given, ModelCatalog()),
    "budgets": lambda given: budgets_usd(given.team, given.texts, ModelCatalog()),
}


def cpu_seconds(work: Callable[[], Any]) -> float:
    """The least of three, in this thread."""
    times = []
    for _ in range(3):
        begun = time.thread_time()
        work()
        times.append(time.thread_time() - begun)
    return min(times)


@pytest.mark.parametrize("check", CHECKS)
def test_a_task_of_many_costs_what_one_of_few_costs(check: str) -> None:
    work = CHECKS[check]
    small, large = request(SMALL), request(MAX_TASKS)
    ratio = cpu_seconds(lambda: work(large)) / cpu_seconds(lambda: work(small))
    assert ratio < 30, f"{ratio:.1f} times the time for 10 times the tasks; a square is 100 times"


def test_the_fast_reader_of_yaml_reads_what_the_slow_one_reads() -> None:
    text = "a: [1, 010, 2026-01-01, 1:30, yes, ~, 0x10]\nb: &x {c: 'd'}\ne: *x\nf: |\n  g\n"
    document = read_yaml(text)
    assert document.value == {
        "a": [1, "010", "2026-01-01", "1:30", True, None, "0x10"],
        "b": {"c": "d"},
        "e": {"c": "d"},
        "f": "g\n",
    }
    assert document.lines["e",] == 3
