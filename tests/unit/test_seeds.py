"""What is taken over from an ended run, over any graph: never a task behind one that runs."""

import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durable_agent_team.contracts.changes import AdjustAgent
from durable_agent_team.contracts.control import AdjustBudget
from durable_agent_team.contracts.model_catalog import ModelCatalog
from durable_agent_team.contracts.plan import Plan
from durable_agent_team.contracts.run import RunRequest
from durable_agent_team.contracts.seed import Seed, SeedAnswer, SeedPlan
from durable_agent_team.contracts.team import Agent, Task, Team
from durable_agent_team.contracts.text_ref import Text, reference_to
from durable_agent_team.rules.ended_run import EndedRun, Made
from durable_agent_team.rules.fingerprints import answer_fingerprint, task_fingerprint
from durable_agent_team.rules.graph import in_order, with_dependants
from durable_agent_team.rules.run_fold import RunFold
from durable_agent_team.rules.seed_checks import seed_problems, tasks_taken_over, tasks_that_hold
from durable_agent_team.rules.seed_selection import seed_for_rerun, seed_for_reuse
from durable_agent_team.rules.size_limits import start_problems
from durable_agent_team.rules.team_changes import changed_team
from durable_agent_team.rules.validation import team_problems
from tests.support.fuzzing import examples
from tests.unit.test_schedule import Graph, acyclic

GOAL = "Decide whether to enter the market"
DOCUMENTS = {"news.md": "News.", "notes.md": "Notes."}


def tasks_of(graph: Graph) -> list[Task]:
    return [
        Task(id=name, agent=f"agent{number % 3}", ask=f"Do {name}.", depends_on=needs)
        for number, (name, needs) in enumerate(graph.items())
    ]


def team_of(graph: Graph) -> Team:
    agents = {
        f"agent{number}": Agent(role="R", budget_usd=Decimal(1), inputs=("news.md",))
        for number in range(3)
    }
    return Team.model_validate(
        {"name": "brief", "goal": GOAL, "orchestrator": {"budget_usd": 5}, "agents": agents,
         "tasks": tasks_of(graph)}
    )  # fmt: skip


def ended_run(team: Team, undone: set[str] | None = None) -> EndedRun:
    """As a run of this team leaves it: what is behind an undone task is not done either."""
    request = RunRequest(team=team, sources=DOCUMENTS)
    graph = {task.id: task.depends_on for task in team.tasks}
    missing = with_dependants(graph, undone or set())
    by_id = {task.id: task for task in team.tasks}
    texts: dict[str, Text] = {}
    handoffs: dict[str, Made] = {}
    for name in in_order(graph):
        if name not in missing:
            model = team.agents[by_id[name].agent].model or "default"
            asked = task_fingerprint(team, by_id[name], DOCUMENTS, texts, model)
            texts[name] = f"hand-off of {name}"
            handoffs[name] = Made(texts[name], Decimal("0.01"), asked, model, "run-1")
    answer = None
    if not missing:
        needed = {each for task in team.tasks for each in task.depends_on}
        last = {task.id: texts[task.id] for task in team.tasks if task.id not in needed}
        asked = answer_fingerprint(team, GOAL, last, team.orchestrator.model or "default")
        answer = Made("The answer.", Decimal("0.02"), asked, "default", "run-1")
    return EndedRun("run-1", request, None, None, handoffs, answer)


@settings(max_examples=examples(40))
@given(acyclic(), st.data())
def test_a_selection_is_closed_and_as_large_as_it_can_be(graph: Graph, data: st.DataObject) -> None:
    names = sorted(graph)
    done = data.draw(st.sets(st.sampled_from(names)))
    targets = data.draw(st.sets(st.sampled_from(names)))
    kept = set(tasks_taken_over(tasks_of(graph), done, targets))
    for name in graph:
        again = name in targets or name not in done or any(n not in kept for n in graph[name])
        assert (name in kept) != again, name


@settings(max_examples=examples(40))
@given(acyclic(), st.data())
def test_a_rerun_is_a_valid_start_and_runs_the_rest(graph: Graph, data: st.DataObject) -> None:
    team = team_of(graph)
    undone = data.draw(st.sets(st.sampled_from(sorted(graph)), max_size=3))
    targets = data.draw(st.sets(st.sampled_from(sorted(graph)), max_size=3))
    ended = ended_run(team, undone)
    seed = seed_for_rerun(ended, targets, team)
    request = ended.request.model_copy(update={"seed": seed})
    assert team_problems(request) == []
    assert set(graph) - set(seed.tasks) == with_dependants(graph, undone | targets)
    assert (seed.answer is not None) == (not undone and not targets)
    assert list(seed_problems(request)) == []


@settings(max_examples=examples(40))
@given(acyclic())
def test_the_order_of_a_graph_has_each_node_after_its_needs(graph: Graph) -> None:
    order = in_order(graph)
    assert sorted(order) == sorted(graph)
    for name, needs in graph.items():
        assert all(order.index(each) < order.index(name) for each in needs)


Change = Callable[[Team, str], Team]


def agent_with(**changes: Any) -> Change:
    def change(team: Team, name: str) -> Team:
        agent = next(task.agent for task in team.tasks if task.id == name)
        changed = team.agents[agent].model_copy(update=changes)
        return team.model_copy(update={"agents": {**team.agents, agent: changed}})

    return change


def task_with(**changes: Any) -> Change:
    def change(team: Team, name: str) -> Team:
        raw = {**next(task for task in team.tasks if task.id == name).model_dump(), **changes}
        tasks = tuple(Task.model_validate(raw) if t.id == name else t for t in team.tasks)
        return team.model_copy(update={"tasks": tasks})

    return change


SHAPES_A_BODY = {
    "model": agent_with(model="other"),
    "role": agent_with(role="Another"),
    "instructions": agent_with(instructions="Look twice."),
    "max_tokens": agent_with(max_tokens=7),
    "temperature": agent_with(temperature=0.5),
    "frequency_penalty": agent_with(frequency_penalty=0.5),
    "seed": agent_with(seed=0),
    "the agent's documents": agent_with(inputs=("news.md", "notes.md")),
    "ask": task_with(ask="Do something else."),
    "output": task_with(output={"type": "object"}),
    "findings": task_with(output="findings"),
    "checks": task_with(checks={"min_length": 2}),
    "the task's documents": task_with(inputs=("notes.md",)),
}
SHAPES_NONE = {
    "budget": agent_with(budget_usd=Decimal(9)),
    "timeout": agent_with(timeout_seconds=7),
    "on_exhausted": agent_with(on_exhausted="skip"),
    "min_tokens": agent_with(min_tokens=5),
    "breaker": agent_with(breaker_failures=1),
    "park": agent_with(park_timeout_seconds=7, on_park_timeout="skip"),
    "retries": lambda team, name: agent_with(
        retry=team.agents["agent0"].retry.model_copy(update={"max_attempts": 2})
    )(team, name),
    "team": lambda team, name: team.model_copy(
        update={"budget_usd": Decimal(100), "max_parallel": 3, "max_repairs": 0, "max_tasks": 99}
    ),
    "orchestrator's money": lambda team, name: team.model_copy(
        update={"orchestrator": team.orchestrator.model_copy(update={"budget_usd": Decimal(7)})}
    ),
    "missing_inputs": task_with(missing_inputs="accept"),
}


DIAMOND: Graph = {"a": (), "b": ("a",), "c": ("a",), "d": ("b", "c"), "e": (), "f": ("e",)}


def not_reused(team: Team, changed: Team) -> set[str]:
    """The tasks that a run of `changed` pays for, after one of `team`."""
    seed = seed_for_reuse(ended_run(team), RunRequest(team=changed, sources=DOCUMENTS))
    assert (seed.answer is None) == (len(seed.tasks) < len(changed.tasks))
    return {task.id for task in changed.tasks} - set(seed.tasks)


def touched(team: Team, changed: Team) -> list[str]:
    """The tasks whose own settings, or whose agent's, are others."""
    return [
        task.id
        for task, before in zip(changed.tasks, team.tasks, strict=True)
        if task != before or changed.agents[task.agent] != team.agents[before.agent]
    ]


@pytest.mark.parametrize("what", SHAPES_A_BODY)
@pytest.mark.parametrize("name", ["a", "e"])
def test_what_shapes_a_body_is_not_reused_and_nothing_behind_it(what: str, name: str) -> None:
    team = team_of(DIAMOND)
    changed = SHAPES_A_BODY[what](team, name)
    assert name in touched(team, changed)
    assert not_reused(team, changed) == with_dependants(DIAMOND, touched(team, changed))


@pytest.mark.parametrize("what", SHAPES_NONE)
def test_money_limits_and_retries_change_nothing(what: str) -> None:
    team = team_of(DIAMOND)
    changed = SHAPES_NONE[what](team, "a")
    assert changed != team
    assert not_reused(team, changed) == set()


@settings(max_examples=examples(40))
@given(acyclic(), st.data())
def test_in_any_graph_a_change_reaches_what_is_behind_it(graph: Graph, data: st.DataObject) -> None:
    team = changed = team_of(graph)
    for _ in range(data.draw(st.integers(0, 3))):
        name = data.draw(st.sampled_from(sorted(graph)))
        kinds = data.draw(st.sampled_from([SHAPES_A_BODY, SHAPES_NONE]))
        what = data.draw(st.sampled_from(sorted(kinds)))
        changed = kinds[what](changed, name)
        if kinds is SHAPES_NONE:
            team = kinds[what](team, name)
    assert not_reused(team, changed) == with_dependants(graph, touched(team, changed))


def test_a_changed_document_reaches_only_those_behind_its_readers() -> None:
    with_notes = task_with(inputs=("notes.md",))(team_of(DIAMOND), "b")
    other = {**DOCUMENTS, "notes.md": "Other notes."}
    seed = seed_for_reuse(ended_run(with_notes), RunRequest(team=with_notes, sources=other))
    assert set(seed.tasks) == {"a", "c", "e", "f"}


def test_a_renamed_task_is_reused_and_a_repeated_one_is_not_twice() -> None:
    team = team_of({"a": ()})
    renamed = team.model_copy(update={"tasks": (team.tasks[0].model_copy(update={"id": "z"}),)})
    again = team.model_copy(update={"tasks": (*team.tasks, *renamed.tasks)})
    ended = ended_run(team)
    assert set(seed_for_reuse(ended, RunRequest(team=renamed, sources=DOCUMENTS)).tasks) == {"z"}
    assert set(seed_for_reuse(ended, RunRequest(team=again, sources=DOCUMENTS)).tasks) == {"a"}


def test_an_answer_of_a_fallback_model_or_with_fewer_tokens_is_made_anew() -> None:
    team = team_of({"a": ()})
    other = agent_with(model="cheap")(team, "a")
    own = agent_with(model="dear")(team, "a")
    fewer = agent_with(max_tokens=7)(team, "a")
    for made in (other, fewer):
        seed = seed_for_reuse(ended_run(made), RunRequest(team=own, sources=DOCUMENTS))
        assert seed.tasks == {}


@pytest.mark.parametrize("change", ["goal", "instructions", "rounds"])
def test_another_goal_orchestrator_or_review_answers_anew(change: str) -> None:
    team = team_of({"a": (), "b": ("a",)})
    orchestrator = team.orchestrator.model_copy(update={"instructions": "Be brief."})
    changes: dict[str, dict[str, Any]] = {
        "goal": {"goal": "Another goal"},
        "instructions": {"orchestrator": orchestrator},
        "rounds": {"review_rounds": 1},
    }
    request = RunRequest(team=team.model_copy(update=changes[change]), sources=DOCUMENTS)
    seed = seed_for_reuse(ended_run(team), request)
    assert (set(seed.tasks), seed.answer) == ({"a", "b"}, None)


def test_only_what_the_same_model_would_make_holds() -> None:
    team = team_of({"a": (), "b": ("a",), "c": ()})
    made = SeedAnswer(output="x", model="m", same_model=True)
    seed = Seed(origin="run-1", tasks={"a": made, "b": made, "c": made.model_copy(
        update={"same_model": False})})  # fmt: skip
    same, other = (ModelCatalog(default_model=name) for name in ("m", "n"))
    assert tasks_that_hold(seed, team, team.tasks, same) == ["a", "b", "c"]
    assert tasks_that_hold(seed, team, team.tasks, other) == ["c"]


@pytest.mark.parametrize(
    ("task", "output", "words"),
    [
        ({}, "", "it is empty"),
        ({"checks": {"min_length": 5}}, "four", "below the task's min_length, 5"),
        ({"checks": {"max_length": 3}}, "four", "above the task's max_length, 3"),
        ({"output": "findings"}, "no JSON", "the task's output is JSON, and this is not"),
        ({"output": {"type": "object"}}, "{", "the task's output is JSON, and this is not"),
    ],
)
def test_a_handoff_that_breaks_its_own_checks_is_refused(
    task: dict[str, Any], output: str, words: str
) -> None:
    team = task_with(**task)(team_of({"a": ()}), "a")
    seed = Seed(origin="run-1", tasks={"a": SeedAnswer(output=output)})
    problems = team_problems(RunRequest(team=team, sources=DOCUMENTS, seed=seed))
    assert [each.field for each in problems] == ["seed.tasks.a.output"]
    assert words in problems[0].what


@settings(max_examples=examples(40))
@given(acyclic(), st.data())
def test_any_seed_is_valid_or_refused_with_its_place(graph: Graph, data: st.DataObject) -> None:
    """An outsider may start a run with anything: what passes can be carried out."""
    names = data.draw(st.sets(st.sampled_from([*graph, "zzz"])))
    seed = Seed(origin="x", tasks={name: SeedAnswer(output="x") for name in sorted(names)})
    problems = team_problems(RunRequest(team=team_of(graph), sources=DOCUMENTS, seed=seed))
    sound = names <= set(graph) and all({*graph[name]} <= names for name in names)
    assert (not problems) == sound


def test_a_seeded_plan_is_checked_like_any_plan() -> None:
    team = team_of({"a": ()}).model_copy(update={"tasks": ()})
    cycle = Plan(tasks=(Task(id="a", agent="agent0", ask="x", depends_on=("b",)),
                        Task(id="b", agent="agent0", ask="x", depends_on=("a",))))  # fmt: skip
    seed = Seed(origin="x", plan=SeedPlan(plan=cycle))
    (problem,) = team_problems(RunRequest(team=team, sources=DOCUMENTS, seed=seed))
    assert "in a cycle" in problem.what
    nowhere = Plan(tasks=(Task(id="a", agent="agent0", ask="x", inputs=("zzz.md",)),))
    seed = Seed(origin="x", plan=SeedPlan(plan=nowhere, added=("q",)))
    problems = team_problems(RunRequest(team=team, sources=DOCUMENTS, seed=seed))
    assert [each.field for each in problems] == ["tasks.a.inputs", "seed.plan.added"]


def made(output: str) -> Made:
    return Made(output, Decimal("0.01"), None, "m", "run-1")


def test_a_superseded_answer_that_arrives_late_does_not_count() -> None:
    team = team_of({"a": (), "b": ("a",)})
    fold = RunFold("run-1", RunRequest(team=team, sources=DOCUMENTS))
    fold.done("a", made("a 1"), 5)
    fold.retried("a", 9)
    fold.done("b", made("late"), 7)
    assert fold.ended_run().handoffs == {}
    fold.done("a", made("a 2"), 10)
    fold.done("b", made("b 2"), 12)
    outputs = {name: each.output for name, each in fold.ended_run().handoffs.items()}
    assert outputs == {"a": "a 2", "b": "b 2"}


def test_a_review_reopens_what_it_redoes_and_drops_the_rest() -> None:
    team = team_of({"a": (), "b": ("a",), "c": (), "d": ()})
    fold = RunFold("run-1", RunRequest(team=team, sources=DOCUMENTS))
    for position, name in enumerate("abc"):
        fold.done(name, made(name), position)
    review = {"redo": ["a"], "drop": ["d"], "add": [{"agent": "agent1", "ask": "Look again."}]}
    fold.reviewed(made(json.dumps(review)), 9)
    ended = fold.ended_run()
    assert set(ended.handoffs) == {"c"}
    assert ended.plan is not None
    assert [task.id for task in ended.plan.plan.tasks] == ["a", "b", "c", "review1-1"]
    assert (ended.plan.reviews, ended.plan.cost_usd) == (1, Decimal("0.01"))


def test_a_review_that_a_person_rejects_changes_nothing_that_goes_on() -> None:
    """The next one, with the person's note, does."""
    fold = RunFold("run-1", RunRequest(team=team_of({"a": (), "b": ()}), sources=DOCUMENTS))
    for position, name in enumerate("ab", start=1):
        fold.done(name, made(name), position)
    review = {"redo": ["a"], "drop": ["b"], "add": [{"agent": "agent1", "ask": "Look again."}]}
    fold.reviewed(made(json.dumps(review)), 9)
    fold.rejected("review")
    ended = fold.ended_run()
    assert set(ended.handoffs) == {"a", "b"}
    assert ended.plan is None
    fold.reviewed(made(json.dumps({**review, "drop": []})), 10)
    fold.approved("review")
    plan = fold.ended_run().plan
    assert plan is not None
    assert [task.id for task in plan.plan.tasks] == ["a", "b", "review1-1"]


def test_limits_that_no_new_run_could_have_are_left_out() -> None:
    team = team_of({"a": ()}).model_copy(update={"budget_usd": Decimal(8)})
    fold = RunFold("run-1", RunRequest(team=team, sources=DOCUMENTS))
    fold.changed(AdjustBudget(agent="agent0", budget_usd=Decimal(50)))
    fold.changed(AdjustAgent(agent="agent0", instructions="Look twice."))
    fold.changed(AdjustAgent(agent="nobody", instructions="Look twice."))
    found = fold.ended_run().request.team
    assert found.agents["agent0"].budget_usd == Decimal(1)
    assert found.agents["agent0"].instructions == "Look twice."
    assert team_problems(RunRequest(team=found, sources=DOCUMENTS)) == []
    with pytest.raises(KeyError):
        changed_team(team, AdjustAgent(agent="nobody", model="m"))


def test_a_text_and_the_reference_to_it_have_one_fingerprint() -> None:
    """A document that the first run had in the store, and the next one reads from its file."""
    team = team_of(DIAMOND)
    stored = {name: reference_to(text) for name, text in DOCUMENTS.items()}
    ended = ended_run(team)
    handoffs = {name: replace(each, output=reference_to(str(each.output)))
                for name, each in ended.handoffs.items()}  # fmt: skip
    request = RunRequest(team=team, documents=stored)
    seed = seed_for_reuse(replace(ended, handoffs=handoffs), request)
    assert set(seed.tasks) == set(DIAMOND)
    assert seed.answer is not None
    assert {each.output for each in seed.tasks.values()} == {""}
    assert team_problems(request.model_copy(update={"seed": seed})) == []


def test_a_seed_that_is_too_large_is_named() -> None:
    team = team_of({f"t{number}": () for number in range(12)})
    large = {task.id: SeedAnswer(output="x" * 199_000) for task in team.tasks}
    request = RunRequest(team=team, sources=DOCUMENTS, seed=Seed(origin="run-1", tasks=large))
    (problem,) = start_problems(request)
    assert problem.field == "seed"
    assert "EXTERNAL_STORAGE" in problem.remedy
