"""Everything that can be wrong with a run before anything is opened or spent."""

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from durable_agent_team.contracts.call import MAX_SOURCE
from durable_agent_team.contracts.model_catalog import ModelCatalog, ModelPrice
from durable_agent_team.contracts.plan import Problem
from durable_agent_team.contracts.run import RunRequest
from durable_agent_team.contracts.team import Team
from durable_agent_team.rules.estimate import estimate
from durable_agent_team.rules.validation import (
    task_problems,
    team_problems,
    team_warnings,
)

CATALOG = ModelCatalog(
    models=(
        ModelPrice(model="small", input_usd=Decimal(1), output_usd=Decimal(2), context_tokens=1000),
        ModelPrice(model="tiny", input_usd=Decimal(1), output_usd=Decimal(1)),
    ),
    default_model="small",
    priced=True,
)


def request(goal: str | None = None, sources: dict[str, str] | None = None, **keys: Any) -> Any:
    """A good team, but for the keys that are given."""
    base: dict[str, Any] = {
        "name": "brief",
        "goal": "Decide whether to enter the market",
        "orchestrator": {"budget_usd": 5},
        "agents": {
            "research": {"role": "Researcher", "budget_usd": 1},
            "editor": {"role": "Editor", "budget_usd": 1},
        },
        "tasks": [
            {"id": "facts", "agent": "research", "ask": "List the facts."},
            {"id": "text", "agent": "editor", "ask": "Write it up.", "depends_on": ["facts"]},
        ],
        "result": "text",
    }
    team = Team.model_validate({**base, **keys})
    return RunRequest(team=team, goal=goal, sources=sources or {})


def agents(**research: Any) -> dict[str, Any]:
    return {
        "research": {"role": "Researcher", "budget_usd": 1, **research},
        "editor": {"role": "Editor", "budget_usd": 1},
    }


def tasks(**facts: Any) -> list[dict[str, Any]]:
    first = {"id": "facts", "agent": "research", "ask": "List the facts.", **facts}
    return [first, {"id": "text", "agent": "editor", "ask": "Write.", "depends_on": ["facts"]}]


def only(problems: list[Problem]) -> Problem:
    assert len(problems) == 1, [str(each) for each in problems]
    return problems[0]


def test_an_agent_is_no_model_that_makes_embeddings_but_a_program_may_use_one() -> None:
    vectors = ModelPrice(
        model="vectors", input_usd=Decimal(1), output_usd=Decimal(0), kind="embedding"
    )
    catalog = CATALOG.model_copy(update={"models": (*CATALOG.models, vectors)})
    made = request(
        agents=agents(model="vectors", on_exhausted="fallback", fallback_model="vectors")
    )
    found = [(each.field, each.what) for each in team_problems(made, catalog)]
    what = "makes embeddings, and cannot chat"
    assert found == [
        ("agents.research.model", what),
        ("agents.research.fallback_model", what),
    ]
    program = request(agents=agents(model="vectors", run={"python": "a:b"}))
    assert team_problems(program, catalog) == []


def test_a_timeout_above_the_gateways_limit_is_a_problem() -> None:
    limited = CATALOG.model_copy(update={"max_call_seconds": 120.0})
    slow = request(agents=agents(timeout_seconds=120.5))
    found = only(team_problems(slow, limited))
    assert found.field == "agents.research.timeout_seconds"
    assert (found.value, "after 120 s" in found.what) == ("120.5", True)
    assert "GATEWAY_MAX_CALL_SECONDS" in found.remedy
    assert team_problems(slow, CATALOG) == [], "another provider tells no limit"
    assert team_problems(request(agents=agents(timeout_seconds=120)), limited) == []
    short = CATALOG.model_copy(update={"max_call_seconds": 5.0})
    assert team_problems(request(), short) == [], "the default of 60 s was not asked for"


def test_an_orchestrator_that_is_never_called_needs_no_budget_and_no_model() -> None:
    silent = request(final="handoff", orchestrator={})
    nameless = CATALOG.model_copy(update={"default_model": None})
    named = request(
        final="handoff",
        orchestrator={},
        agents={name: {"role": "R", "budget_usd": 1, "model": "small"}
                for name in ("research", "editor")},
    )  # fmt: skip
    assert team_problems(silent, CATALOG) == []
    assert team_problems(named, nameless) == []
    assert (
        team_problems(request(final="handoff", orchestrator={"budget_usd": 9}, budget_usd=2)) == []
    )
    called = request(final="handoff", orchestrator={}, review_rounds=1)
    assert only(team_problems(called)).field == "orchestrator.budget_usd"
    assert {each.agent for each in estimate(silent, CATALOG).agents} == {"research", "editor"}
    assert estimate(named, nameless).most_usd is not None


def test_a_good_team_has_no_problem_with_and_without_a_catalog() -> None:
    assert team_problems(request()) == []
    assert team_problems(request(), CATALOG) == []
    assert team_warnings(request()) == []


def test_a_goal_comes_from_the_team_or_from_the_request() -> None:
    assert (
        only(team_problems(request(goal=None).model_copy(update={"team": nameless()}))).field
        == "goal"
    )
    assert team_problems(RunRequest(team=nameless(), goal="Decide")) == []


def nameless() -> Team:
    team: Team = request().team
    return team.model_copy(update={"goal": None})


def test_somebody_without_a_limit_is_named() -> None:
    found = team_problems(request(orchestrator={}, agents=agents(budget_usd=None)))
    assert [each.field for each in found] == [
        "orchestrator.budget_usd",
        "agents.research.budget_usd",
    ]
    assert all("or the team one to share out" in each.remedy for each in found)
    assert team_problems(request(orchestrator={}, budget_usd=5)) == []


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"budget_usd": 6}, "the agents' own limits come to 7 USD"),
        ({"budget_usd": 2, "orchestrator": {}}, "orchestrator would get nothing"),
    ],
)
def test_limits_above_the_teams_are_told_with_their_sum(keys: dict[str, Any], told: str) -> None:
    found = only(team_problems(request(**keys)))
    assert (found.field, found.value) == ("budget_usd", str(keys["budget_usd"]))
    assert told in found.what


def test_the_orchestrators_name_is_its_own() -> None:
    found = team_problems(request(agents={**agents(), "orchestrator": {"role": "X"}}))
    assert "agents.orchestrator" in [each.field for each in found]


@pytest.mark.parametrize(
    ("changed", "field", "value", "remedy"),
    [
        ({"agent": "reserch"}, "tasks.facts.agent", "reserch", "did you mean `research`?"),
        ({"depends_on": ["zz"]}, "tasks.facts.depends_on", "zz", "one of: text"),
        ({"id": "text"}, "tasks.text", "", "rename one"),
        ({"inputs": ["a.md"]}, "tasks.facts.inputs", "a.md", "`sources`"),
        (
            {"checks": {"min_length": 9, "max_length": 3}},
            "tasks.facts.checks.min_length",
            "9",
            "swap them",
        ),
    ],
)
def test_what_a_task_refers_to_must_be_there(
    changed: dict[str, Any], field: str, value: str, remedy: str
) -> None:
    found = {each.field: each for each in team_problems(request(tasks=tasks(**changed)))}
    assert found[field].value == value
    assert remedy in found[field].remedy


def test_an_agents_own_document_must_be_there() -> None:
    made = agents(inputs=["a.md"])
    assert only(team_problems(request(agents=made))).field == "agents.research.inputs"
    assert team_problems(request(agents=made, sources={"a.md": "text"})) == []


def test_a_cycle_is_spelled_out() -> None:
    found = only(team_problems(request(tasks=tasks(depends_on=["text"]))))
    assert found.value in ("facts -> text -> facts", "text -> facts -> text")
    assert "cycle" in found.what


def test_more_tasks_than_allowed_are_told_with_both_figures() -> None:
    found = only(team_problems(request(max_tasks=1)))
    assert (found.field, found.value, found.what) == ("tasks", "2", "more than max_tasks, 1")


def test_a_result_must_be_one_of_the_tasks() -> None:
    found = only(team_problems(request(result="absent")))
    assert (found.field, found.value, found.remedy) == ("result", "absent", "one of: facts, text")
    assert only(team_problems(request(tasks=[]))).remedy == "leave result out"
    assert team_problems(request(tasks=[], result=None)) == []


def test_who_falls_back_needs_a_model_to_fall_back_to() -> None:
    found = only(team_problems(request(agents=agents(on_exhausted="fallback"))))
    assert (found.field, found.value) == ("agents.research.on_exhausted", "fallback")
    assert "fallback_model" in found.remedy
    found = only(team_problems(request(orchestrator={"budget_usd": 5, "on_exhausted": "fallback"})))
    assert found.field == "orchestrator.on_exhausted"
    good = agents(on_exhausted="fallback", fallback_model="tiny")
    assert team_problems(request(agents=good), CATALOG) == []


@pytest.mark.parametrize("key", ["model", "fallback_model"])
def test_an_unpriced_model_prints_the_lines_for_the_price_file(key: str) -> None:
    made = request(agents=agents(**{key: 'huge "x"'}))
    found = only(team_problems(made, CATALOG))
    assert (found.field, found.value) == (f"agents.research.{key}", 'huge "x"')
    assert "small, tiny" in found.what
    lines = found.remedy.splitlines()
    assert lines[-3:] == [
        '[models."huge \\"x\\""]',
        'input_usd_per_million = "?"  # your provider\'s price',
        'output_usd_per_million = "?"  # your provider\'s price',
    ]
    unpriced = CATALOG.model_copy(update={"priced": False})
    assert team_problems(made, unpriced) == [], "an endpoint that tells no prices refuses nothing"


def test_a_model_that_nobody_names_is_missing() -> None:
    found = team_problems(request(), CATALOG.model_copy(update={"default_model": None}))
    assert [each.field for each in found] == [
        "orchestrator.model",
        "agents.research.model",
        "agents.editor.model",
    ]
    assert all("DEFAULT_MODEL" in each.remedy for each in found)


def test_an_input_above_the_context_is_told_with_both_figures() -> None:
    made: dict[str, Any] = {"tasks": tasks(inputs=["a.md"]), "agents": agents(max_tokens=500)}
    found = only(team_problems(request(**made, sources={"a.md": "word " * 800}), CATALOG))
    assert found.field == "tasks.facts.inputs"
    assert "above the model's context of 1000 tokens" in found.what
    needed = int(found.value.split()[1]) + 500
    assert f"max_tokens 500 that is {needed}" in found.what
    made["agents"] = agents(max_tokens=500, context_tokens=4000)
    wide = request(**made, sources={"a.md": "word " * 800})
    assert team_problems(wide, CATALOG) == [], "the team file's own figure goes first"


def test_a_subagent_above_the_orchestrator_is_a_warning() -> None:
    made = request(agents=agents(budget_usd=9))
    assert team_problems(made) == []
    found = only(team_warnings(made))
    assert (found.field, found.value) == ("agents.research.budget_usd", "9")
    assert "5 USD" in found.what


def test_the_goal_in_an_ask_is_a_warning() -> None:
    made = request(tasks=tasks(ask="Please decide  WHETHER to enter the market, now."))
    assert only(team_warnings(made)).field == "tasks.facts.ask"


def test_a_planned_graph_is_judged_by_the_same_rules() -> None:
    team = request().team
    assert task_problems(team, team.tasks) == []
    wrong = team.tasks[1].model_copy(update={"depends_on": ("nowhere",)})
    assert only(task_problems(team, (team.tasks[0], wrong))).value == "nowhere"


def test_a_problem_reads_as_a_sentence() -> None:
    told = str(Problem(field="f", value="v", what="is wrong", remedy="mend it"))
    assert told == "f = v: is wrong (mend it)"
    assert str(Problem(field="f", what="is missing")) == "f: is missing"


def test_a_problem_can_be_told_however_long_it_is() -> None:
    """These are told inside the workflow too, where what cannot be told would stop the run."""
    names = [f"agent-number-{number}" for number in range(200)]
    agents = {name: {"role": "R", "budget_usd": 1} for name in names}
    tasks = [{"id": "a", "agent": "nobody", "ask": "Go."}]
    (problem,) = team_problems(request(agents=agents, tasks=tasks, result="a"))
    assert problem.remedy.startswith("one of: agent-number-0, ")
    ring = [
        {"id": f"t{n}", "agent": "research", "ask": "Go.", "depends_on": [f"t{(n + 1) % 200}"]}
        for n in range(200)
    ]
    (problem,) = team_problems(request(tasks=ring, result="t0", max_tasks=200))
    assert problem.value.startswith("t0 -> t1 -> ")
    assert problem.value.endswith("…")


def test_a_document_is_bounded_by_whoever_starts_the_run() -> None:
    with pytest.raises(ValidationError):
        request(sources={"long.md": "x" * (MAX_SOURCE + 1)})
