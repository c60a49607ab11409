"""`validate` and `start` know what is too large before a run, with both figures and the remedy."""

from types import SimpleNamespace
from typing import Any

import pytest

from durable_agent_team.client.exceptions import UpdateRefused
from durable_agent_team.client.run_start import details
from durable_agent_team.client.runs import start_run
from durable_agent_team.contracts.run import RunRequest
from durable_agent_team.contracts.team import Agent, Task, Team
from durable_agent_team.payloads.converter import DATA_CONVERTER
from durable_agent_team.rules.encoded_size import MAX_PAYLOAD_BYTES, encoded_bytes
from durable_agent_team.rules.size_limits import size_problems, size_warnings
from durable_agent_team.rules.validation import team_problems

SERVER_DETAILS = 20_000
ROWS = '"12","Yes","No"\n'


def request(
    tasks: list[dict[str, Any]], sources: dict[str, str] | None = None, **agent: Any
) -> RunRequest:
    team = Team(
        name="big",
        goal="Decide.",
        orchestrator={"budget_usd": 5},
        agents={"one": Agent(role="Reader", budget_usd=1, **agent)},
        tasks=tuple(Task(agent="one", **task) for task in tasks),
        max_tasks=1000,
    )
    made = RunRequest(team=team, sources=sources or {})
    assert not team_problems(made)
    return made


async def test_a_thousand_long_asks_are_named_with_size_limit_and_remedy() -> None:
    many = [{"id": f"t{n}", "ask": "x" * 3_000} for n in range(1_000)]
    made = request(many)
    (problem,) = size_problems(made, has_store=False)
    assert problem.field == "tasks"
    assert f"{encoded_bytes(made):,} bytes" in problem.what
    assert f"{MAX_PAYLOAD_BYTES:,}" in problem.what
    assert "shorten the asks" in problem.remedy
    assert size_problems(made, has_store=True) == []
    nobody: Any = SimpleNamespace(data_converter=DATA_CONVERTER)
    with pytest.raises(UpdateRefused, match=r"shorten the asks.*nothing was started"):
        await start_run(nobody, made)


def test_documents_that_grow_as_json_are_named() -> None:
    """1.49 MB of rows are 2.1 MB as JSON."""
    documents = {"rows": ROWS * (745_000 // len(ROWS)), "more": ROWS * (745_000 // len(ROWS))}
    found = size_problems(
        request([{"id": "t", "ask": "Sum.", "inputs": [*documents]}], documents), has_store=False
    )
    assert [each.field for each in found] == ["inputs", "tasks.t.inputs"]
    assert "split the work over several runs" in found[0].remedy


def test_a_request_that_fits_has_neither_problems_nor_warnings() -> None:
    documents = {"text": "x" * 700_000, "more": "x" * 700_000}
    made = request([{"id": "t", "ask": "Sum.", "inputs": [*documents]}], documents)
    assert size_problems(made, has_store=False) == []
    assert size_warnings(made) == []


def test_a_fan_in_that_may_be_too_large_is_warned_of() -> None:
    """Of 1.5 MB, which 400 answers of 1,000 tokens reach, and 300 do not."""
    for count, field in ((300, []), (400, ["tasks.sum.depends_on"])):
        many = [{"id": f"t{n}", "ask": "List."} for n in range(count)]
        last = {"id": "sum", "ask": "Sum.", "depends_on": [task["id"] for task in many]}
        found = size_warnings(request([*many, last], max_tokens=1_000))
        assert [each.field for each in found] == field
    assert "1,500,000" in found[0].what
    assert "sum up in between" in found[0].remedy


def test_the_details_for_temporals_ui_always_fit() -> None:
    """Escaped for Markdown and for JSON, a character of these takes twelve bytes."""
    hidden = "\U000e0001"
    agents = {f"a{n}": Agent(role=hidden * 200, budget_usd=1) for n in range(60)}
    shown = details(RunRequest(team=Team(name="big", goal=hidden * 4_000, agents=agents)))
    assert encoded_bytes(shown) < SERVER_DETAILS
    assert shown.endswith(" more agents")
