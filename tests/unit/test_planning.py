"""Plans: what the schema can express, what the prompt says, and what is refused all the same."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from durable_agent_team.contracts.plan import Plan, Problem
from durable_agent_team.contracts.program_kinds import CommandRun
from durable_agent_team.contracts.team import Agent, Task, Team
from durable_agent_team.rules.graph import find_cycle
from durable_agent_team.rules.narrow_plans import (
    MAX_PLANNED,
    PLACEHOLDER,
    parse_plan,
    plan_ask,
    plan_schema,
)
from durable_agent_team.rules.validation import task_problems
from tests.support.fuzzing import examples

GOAL = "Tell the board whether to enter the market."


def team(readers: int = 2, others: int = 1, **fields: Any) -> Team:
    agents = {
        f"reader{n}": Agent(role=f"Reader {n}", inputs=(f"{n}.md",)) for n in range(1, readers + 1)
    }
    agents |= {f"writer{n}": Agent(role=f"Writer {n}") for n in range(1, others + 1)}
    return Team(name="trial", agents=agents, **fields)


def task(id: str, agent: str = "reader1", *after: str, ask: str = "List the prices.") -> Any:
    return {"id": id, "agent": agent, "ask": ask, "depends_on": list(after)}


def answer(*tasks: Any) -> str:
    return json.dumps({"tasks": tasks})


def problems(text: str, of: Team | None = None) -> list[Problem]:
    found = parse_plan(text, of or team(), GOAL)
    assert isinstance(found, list), f"accepted: {found}"
    return found


def plan(text: str, of: Team | None = None) -> Plan:
    found = parse_plan(text, of or team(), GOAL)
    assert isinstance(found, Plan), f"refused: {found}"
    return found


GOOD = (task("t1"), task("t2", "reader2"), task("t3", "writer1", "t1", "t2"))


def accepts(schema: dict[str, Any], *tasks: Any) -> bool:
    return bool(Draft202012Validator(schema).is_valid({"tasks": list(tasks)}))


def test_the_schema_is_valid_and_takes_a_good_plan() -> None:
    schema = plan_schema(team())
    Draft202012Validator.check_schema(schema)
    assert accepts(schema, *GOOD)


@pytest.mark.parametrize(
    "tasks",
    [
        pytest.param((task("t1", "ghost"), *GOOD[1:]), id="unknown agent"),
        pytest.param((task("t1", "reader1", "t3"), *GOOD[1:]), id="a cycle"),
        pytest.param((task("t1", "reader1", "t1"), *GOOD[1:]), id="itself"),
        pytest.param((*GOOD[:2], task("t3", "writer1", "t1", "t1")), id="the same one twice"),
        pytest.param((task("t2"), *GOOD[1:]), id="another id"),
        pytest.param(GOOD[:2], id="too few tasks"),
        pytest.param((*GOOD[:2], task("t3", "writer1")), id="a writer with nothing to work on"),
        pytest.param((task("t1", ask="List " + "x" * 300 + "."), *GOOD[1:]), id="an endless ask"),
        pytest.param((task("t1", ask=f"List {PLACEHOLDER}."), *GOOD[1:]), id="the placeholder"),
        pytest.param((task("t1", ask="List this. And that."), *GOOD[1:]), id="two sentences"),
    ],
)
def test_the_schema_cannot_express(tasks: tuple[Any, ...]) -> None:
    assert not accepts(plan_schema(team()), *tasks)


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 50])
def test_no_more_tasks_than_the_team_allows(limit: int) -> None:
    of = team(max_tasks=limit)
    many = [task(f"t{n}", "reader1") for n in range(1, 60)]
    fitting = [n for n in range(1, 60) if accepts(plan_schema(of), *many[:n])]
    assert fitting == list(range(min(3, limit), min(limit, MAX_PLANNED) + 1))


def test_the_prompt_has_the_agents_and_their_documents() -> None:
    of = team()
    text = plan_ask(of)
    for name, agent in of.agents.items():
        assert name in text
        assert agent.role in text
        assert all(document in text for document in agent.inputs)


def test_the_prompt_says_which_agents_are_programs() -> None:
    of = team()
    name, agent = next(iter(of.agents.items()))
    program = agent.model_copy(update={"run": CommandRun(command=("market",))})
    text = plan_ask(of.model_copy(update={"agents": {**of.agents, name: program}}))
    [line] = (each for each in text.splitlines() if "It is a program" in each)
    assert line.startswith(f"- {name}: {agent.role}.")
    assert "program" not in plan_ask(of)


@pytest.mark.parametrize("readers", [0, 1, 2, 12])
@pytest.mark.parametrize("others", [0, 1, 2, 12])
@pytest.mark.parametrize("limit", [1, 2, 3, 50])
def test_the_example_is_a_plan_that_the_schema_takes(readers: int, others: int, limit: int) -> None:
    if not readers + others:
        return
    of = team(readers, others, max_tasks=limit)
    example = next(line for line in plan_ask(of).splitlines() if line.startswith("{"))
    filled = example.replace(PLACEHOLDER, "tea")
    assert accepts(plan_schema(of), *json.loads(filled)["tasks"])
    assert plan(filled, of).result


def test_the_goal_is_not_in_the_prompt() -> None:
    """It is put in front of every orchestrator prompt elsewhere, once."""
    of = team(goal=GOAL)
    assert GOAL not in plan_ask(of)
    assert GOAL not in json.dumps(plan_schema(of))


def test_agents_with_documents_answer_with_quotes_that_can_be_checked() -> None:
    made = plan(answer(*GOOD))
    by_id = {each.id: each for each in made.tasks}
    assert by_id["t1"].output == "findings"
    assert by_id["t1"].checks.quotes_exist_in == "inputs"
    assert by_id["t3"].output == "text"
    assert made.result == "t3"
    assert by_id["t3"].depends_on == ("t1", "t2")


def test_nothing_is_paid_for_in_vain() -> None:
    made = plan(answer(task("a"), task("b"), task("c", "writer1", "a"), task("d", "writer1", "a")))
    assert made.result == "d"
    assert made.tasks[-1].depends_on == ("a", "b", "c")


def test_the_last_task_is_no_result_if_others_wait_for_it() -> None:
    """Gathering the loose ends there would close a cycle."""
    made = plan(answer(task("a", "writer1", "z"), task("z")))
    assert made.result == "a"
    assert find_cycle({each.id: each.depends_on for each in made.tasks}) is None


@pytest.mark.parametrize(
    ("text", "field", "says"),
    [
        ("Here is my plan:", "plan", "not JSON"),
        ("[]", "plan.tasks", "no tasks"),
        ('{"tasks": []}', "plan.tasks", "no tasks"),
        ('{"tasks": ["t1"]}', "plan.tasks.0", "dict"),
        ('{"tasks": [{"id": "t1"}]}', "plan.tasks.0.agent", "required"),
        (answer({**task("t1"), "budget": 9}), "plan.tasks.0.budget", "not permitted"),
        (answer(task("t1", "ghost")), "tasks.t1.agent", "no such agent"),
        (answer(task("t1", "reader1", "t9")), "tasks.t1.depends_on", "no such task"),
        (answer(task("t1"), task("t1")), "tasks.t1", "2 tasks have this id"),
        (answer(task("a", "reader1", "b"), task("b", "reader1", "a")), "tasks", "cycle"),
        (answer(task("t1", ask=f"Please: {GOAL}")), "tasks.t1.ask", "repeats the whole goal"),
        (
            answer(task("t1", ask="please tell the\nBOARD whether to  enter the market")),
            "tasks.t1.ask",
            "repeats the whole goal",
        ),
    ],
)
def test_what_is_wrong_is_named(text: str, field: str, says: str) -> None:
    found = problems(text)
    assert any(each.field == field and says in each.what for each in found), found


def test_a_cycle_is_spelled_out() -> None:
    found = problems(answer(task("a", "reader1", "b"), task("b", "reader1", "a")))
    assert "a -> b -> a" in [each.value for each in found]


def test_more_tasks_than_max_tasks_are_refused() -> None:
    found = problems(answer(*(task(f"t{n}") for n in range(4))), team(max_tasks=3))
    assert [each.what for each in found] == ["more than max_tasks, 3"]


def test_everything_wrong_is_named_at_once() -> None:
    found = problems(answer(task("t1", "ghost", "t9", ask=GOAL)))
    assert {each.field for each in found} == {
        "tasks.t1.agent",
        "tasks.t1.depends_on",
        "tasks.t1.ask",
    }


@pytest.mark.fuzz
@settings(max_examples=examples(150), deadline=None)
@given(data=st.data())
def test_whatever_the_schema_takes_is_a_plan(data: st.DataObject) -> None:
    """Any team, any answer within its schema: no problem but the goal's can be left."""
    of = team(
        data.draw(st.integers(0, 3)),
        data.draw(st.integers(1, 3)),
        max_tasks=data.draw(st.integers(1, 12)),
    )
    schema = plan_schema(of)
    shapes = schema["properties"]["tasks"]
    shape = data.draw(st.sampled_from(shapes.get("anyOf", [shapes])))
    tasks = [_drawn(data, item) for item in shape["prefixItems"]]
    assert accepts(schema, *tasks)
    made = plan(answer(*tasks), of)
    assert not task_problems(of, made.tasks)
    assert made.result in {each.id for each in made.tasks}
    assert _ancestors(made.tasks, made.result) == {each.id for each in made.tasks}


def _drawn(data: st.DataObject, item: dict[str, Any]) -> dict[str, Any]:
    shape = data.draw(st.sampled_from(item.get("anyOf", [item])))["properties"]
    depends = shape["depends_on"]
    earlier = depends["items"].get("enum", [])
    chosen = (
        st.lists(
            st.sampled_from(earlier),
            min_size=depends["minItems"],
            max_size=depends["maxItems"],
            unique=True,
        )
        if earlier
        else st.just([])
    )
    return {
        "id": shape["id"]["const"],
        "agent": data.draw(st.sampled_from(shape["agent"]["enum"])),
        "ask": data.draw(st.sampled_from(["List what it costs.", "Vergleiche die Größen."])),
        "depends_on": data.draw(chosen),
    }


def _ancestors(tasks: tuple[Task, ...], result: str | None) -> set[str]:
    assert result is not None
    by_id = {each.id: each for each in tasks}
    seen, frontier = {result}, [result]
    while frontier:
        for name in by_id[frontier.pop()].depends_on:
            if name not in seen:
                seen.add(name)
                frontier.append(name)
    return seen
