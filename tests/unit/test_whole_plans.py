"""Plans in the whole form: what is taken, in which shapes, and what goes back in which words."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from durable_agent_team.contracts.call import MAX_REASONS
from durable_agent_team.contracts.model_catalog import ModelCatalog, ModelPrice
from durable_agent_team.contracts.plan import Plan
from durable_agent_team.contracts.team import Checks, Team
from durable_agent_team.gateway.calls.strict_schema import strict_schema
from durable_agent_team.rules.briefing import Briefing, PlanForm, plan_form
from durable_agent_team.rules.encoded_size import encoded_bytes
from durable_agent_team.rules.graph import find_cycle
from durable_agent_team.rules.planning import parse_plan, plan_ask, plan_schema
from durable_agent_team.rules.review import parse_review, review_schema
from durable_agent_team.rules.validation import task_problems
from tests.support.fuzzing import examples
from tests.unit.bad_plans import BAD_PLANS, GOAL, GPL, SOUND, plan, task

TEAM = Team.model_validate(
    {
        "name": "licences",
        "goal": GOAL,
        "max_tasks": 12,
        "orchestrator": {"model": "big"},
        "agents": {
            "lawyer": {"role": "Lawyer", "inputs": [GPL], "model": "big",
                       "instructions": "Quote the clause."},
            "writer": {"role": "Writer", "model": "big"},
        },
    }
)  # fmt: skip
PRICE = ModelPrice(model="big", input_usd=Decimal(1), output_usd=Decimal(4), context_tokens=100_000)
CATALOG = ModelCatalog(models=(PRICE,), priced=True, plans_by_model=True)
LEFT = {"lawyer": Decimal("0.05"), "writer": Decimal("0.05")}
BRIEFING = Briefing(TEAM, GOAL, PlanForm.WHOLE, {GPL: "x" * 8_340}, CATALOG, LEFT)


def accepted(answer: str, briefing: Briefing = BRIEFING) -> Plan:
    found = parse_plan(answer, briefing)
    assert isinstance(found, Plan), [str(each) for each in found]
    return found


@pytest.mark.parametrize("name", BAD_PLANS)
def test_a_bad_plan_goes_back_with_these_words(name: str) -> None:
    answer, words = BAD_PLANS[name]
    found = parse_plan(answer, BRIEFING)
    assert isinstance(found, list)
    assert [str(each) for each in found] == words


def test_a_result_that_would_read_too_many_tasks_goes_back() -> None:
    """The run could neither ask for it nor continue as new with it."""
    many = Briefing(
        TEAM.model_copy(update={"max_tasks": 5_000}), GOAL, PlanForm.WHOLE, {}, CATALOG, {}
    )
    tasks = [task(id=f"t{n}", ask=f"Write part {n}.") for n in range(1_002)]
    assert len(accepted(plan(*tasks[:-1], result="t0"), many).tasks[0].depends_on) == 1_000
    found = parse_plan(plan(*tasks, result="t0"), many)
    assert isinstance(found, list)
    assert "the results of 1,001 tasks" in str(found[0])


SHAPES = {
    "as it is": plan(SOUND),
    "a fence": f"```json\n{plan(SOUND)}\n```",
    "a sentence before": f"Here is the {{best}} plan:\n\n{plan(SOUND)}",
    "a fence between sentences": f"Sure!\n```\n{plan(SOUND)}\n```\nTell me what you think.",
    "a list alone": json.dumps([SOUND]),
    "an object around it": json.dumps({"plan": {"tasks": [SOUND]}}),
    "with its reasoning": plan(SOUND, reasoning="One task is enough.", result=None),
    "nulls": plan(
        {**SOUND, "depends_on": None, "inputs": None, "output": None, "checks": None,
         "missing_inputs": None, "title": None},
        result=None,
    ),
    "strict": plan(
        {**SOUND, "depends_on": [], "inputs": [], "output": "text", "missing_inputs": "fail",
         "checks": {"min_length": None, "max_length": None, "quotes_exist_in": None}},
        result=None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("answer", SHAPES.values(), ids=SHAPES)
def test_a_good_plan_is_taken_in_any_shape(answer: str) -> None:
    (only,) = accepted(answer).tasks
    assert (only.id, only.agent, only.ask) == ("note", "writer", SOUND["ask"])
    assert (only.depends_on, only.inputs, only.output) == ((), (), "text")
    assert (only.checks, only.missing_inputs) == (Checks(), "fail")


@pytest.mark.parametrize(
    "ask",
    [
        f"From {GPL}, list every duty (section 2.0).",
        'Quote what it says of "derivative works". Then stop.',
        "List snake_case, [brackets], {braces} & <tags>; 3 lines at most!",
        "Read.\n- one\n- two",
        "列出所有义务。",
    ],
)
def test_any_text_is_an_ask(ask: str) -> None:
    assert accepted(plan(task(ask=ask))).tasks[0].ask == ask


@pytest.mark.parametrize("schema", [{"type": "object"}, '{"type": "object"}', ' {"type":"object"}'])
def test_a_schema_is_an_object_or_its_text(schema: Any) -> None:
    assert accepted(plan(task(output=schema))).tasks[0].output == {"type": "object"}


def test_findings_are_compared_with_what_they_are_from() -> None:
    quotes = task(id="quotes", agent="lawyer", output="findings", checks={"max_length": 900})
    (made,) = accepted(plan(quotes)).tasks
    assert made.checks == Checks(max_length=900, quotes_exist_in="inputs")


def test_nothing_is_paid_for_in_vain() -> None:
    tasks = [task(id="a"), task(id="b"), task(id="c", depends_on=["a"])]
    made = accepted(plan(*tasks, result="c"))
    assert made.result == "c"
    assert made.tasks[2].depends_on == ("a", "b")
    free = accepted(plan(*tasks))
    assert free.result is None
    assert free.tasks[2].depends_on == ("a",)


def test_the_prompt_has_what_a_plan_is_made_from_and_not_the_goal() -> None:
    ask = plan_ask(BRIEFING)
    for told in (
        "1 to 12 tasks", "- lawyer: Lawyer. Quote the clause.", f"{GPL} (8,340 bytes)",
        "- writer: big; 1 in, 4 out; context of 100,000 tokens; answers of up to 512 tokens; 0.05"
        " USD left",
    ):  # fmt: skip
        assert told in ask
    assert json.dumps(plan_schema(BRIEFING), ensure_ascii=False) in ask
    assert GOAL not in ask


@pytest.mark.parametrize(
    ("run", "told"),
    [
        ({"command": ["market"]}, "a program, with"),
        ({"a2a": "https://a.example"}, "elsewhere, with"),
    ],
)
def test_the_prompt_says_which_agents_are_programs(run: dict[str, Any], told: str) -> None:
    given = TEAM.model_dump(exclude_unset=True)
    name = next(iter(given["agents"]))
    given["agents"][name] = {**given["agents"][name], "run": run}
    ask = plan_ask(Briefing(TEAM.model_validate(given), GOAL, PlanForm.WHOLE))
    assert ask.count(told) == 1
    assert "give it a whole piece of work" in ask
    assert "a whole piece of work" not in plan_ask(Briefing(TEAM, GOAL, PlanForm.WHOLE))


def test_the_prompt_of_the_largest_team_is_bounded() -> None:
    agent = {"role": "\x01" * 200, "instructions": "\n\x01" * 4_000,
             "inputs": [f"{n}" * 100 for n in range(10, 60)], "model": "big"}  # fmt: skip
    team = TEAM.model_validate(
        {**TEAM.model_dump(), "agents": {f"a{n}-{'x' * 30}": agent for n in range(1_000)}}
    )
    documents = {f"{n}-{'ü' * 190}": "x" for n in range(1_000)}
    left = dict.fromkeys(team.agents, Decimal(1))
    briefing = Briefing(team, GOAL, PlanForm.WHOLE, documents, CATALOG, left)
    ask = plan_ask(briefing)
    assert encoded_bytes(ask) < 2_000_000
    assert encoded_bytes(plan_schema(briefing)) < 100_000
    for name in team.agents:
        assert f"- {name}: " in ask


@pytest.mark.parametrize("documents", [{}, {GPL: "x"}])
def test_the_schemas_are_those_of_strict_mode_already(documents: dict[str, Any]) -> None:
    briefing = Briefing(TEAM, GOAL, PlanForm.WHOLE, documents)
    for schema in (plan_schema(briefing), review_schema(briefing, {}, None)):
        Draft202012Validator.check_schema(schema)
        strict = strict_schema(schema)
        assert strict is not None
        assert (strict.schema, strict.loses) == (schema, False)
        text = json.dumps(schema)
        for beyond in ("oneOf", "allOf", "$ref", "pattern", "minLength", "maxItems", "prefixItems"):
            assert beyond not in text, "not every provider knows it"


@pytest.mark.parametrize(
    ("planning", "by_model", "form"),
    [
        (None, True, PlanForm.WHOLE),
        ("whole", True, PlanForm.WHOLE),
        ("narrow", True, PlanForm.NARROW),
        (None, False, PlanForm.NARROW),
    ],
)
def test_the_form_is_the_catalogs(planning: Any, by_model: bool, form: PlanForm) -> None:
    price = PRICE.model_copy(update={"planning": planning})
    catalog = ModelCatalog(models=(price,), priced=True, plans_by_model=by_model)
    assert plan_form(TEAM, catalog) is form


def test_a_model_that_the_catalog_does_not_have_plans_in_the_whole_form() -> None:
    assert plan_form(TEAM, ModelCatalog(plans_by_model=True)) is PlanForm.WHOLE


ADDED = task(id="table", agent="lawyer", ask="List the duties.", output='{"type": "array"}')
BAD_REVIEWS: dict[str, tuple[Any, str]] = {
    "no JSON": ("All is well.", "review: it is not JSON"),
    "a plan": ({"tasks": [SOUND]}, "review: it has neither redo nor drop nor add"),
    "an unknown task": ({"redo": ["x"]}, "redo = x: no such task (one of: a, b)"),
    "a text": ({"drop": "a"}, "drop = a: it is a text, and must be a list"),
    "the result": ({"drop": ["b"]}, "drop = b: it is the result"),
    "both": ({"redo": ["a"], "drop": ["a"]}, "redo = a: it is also to be dropped"),
    "too many": ({"add": [SOUND] * 4}, "add = 4: more than 3"),
    "the goal with another full stop": (
        {"add": [task(ask=GOAL[:-1] + "!")]},
        "it repeats the whole goal",
    ),
    "itself": ({"add": [task(depends_on=["note"])]}, "a task cannot wait for itself"),
    "too dear": (
        {"add": [task(agent="lawyer", inputs=["long.txt"])]},
        "agents.lawyer = 0.0",
    ),
}


@pytest.mark.parametrize("name", BAD_REVIEWS)
def test_a_bad_review_goes_back_with_its_reason(name: str) -> None:
    written, words = BAD_REVIEWS[name]
    before = accepted(plan(task(id="a"), task(id="b", depends_on=["a"]), result="b"))
    text = written if isinstance(written, str) else json.dumps(written)
    long = {**BRIEFING.documents, "long.txt": "x" * 60_000}
    briefing = Briefing(TEAM, GOAL, PlanForm.WHOLE, long, CATALOG, LEFT)
    found = parse_review(text, briefing, before, 1)
    assert isinstance(found, list)
    assert any(words in str(each) for each in found), [str(each) for each in found]


def test_what_a_review_adds_depends_on_each_other_by_ids_of_its_own() -> None:
    before = accepted(plan(task(id="a")))
    note = task(id="note", depends_on=["table", "a", "review2-1"])
    text = json.dumps({"add": [ADDED, note], "redo": [], "drop": None})
    found = parse_review(text, BRIEFING, before, 2)
    assert isinstance(found, tuple), [str(each) for each in found]
    review, revised = found
    assert [each.id for each in revised.tasks] == ["a", "review2-1", "review2-2"]
    assert review.add[0].output == {"type": "array"}
    assert set(review.add[1].depends_on) == {"review2-1", "a"}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=6,
)
TASKS = st.fixed_dictionaries(
    {},
    optional={
        "id": st.sampled_from(["a", "b", "c", "A b", "plan"]) | VALUES,
        "agent": st.sampled_from(["lawyer", "writer", "orchestrator"]) | VALUES,
        "ask": st.sampled_from(["List it.", GOAL]) | VALUES,
        "depends_on": st.lists(st.sampled_from(["a", "b", "c", "x"]), max_size=3) | VALUES,
        "inputs": st.lists(st.sampled_from([GPL, "none.txt"]), max_size=2) | VALUES,
        "output": st.sampled_from(["text", "findings", {"type": "object"}, "{"]) | VALUES,
        "checks": VALUES,
        "missing_inputs": st.sampled_from(["fail", "accept"]) | VALUES,
        "other": VALUES,
    },
)


@pytest.mark.fuzz
@settings(max_examples=examples(200), deadline=None)
@given(tasks=st.lists(TASKS | VALUES, max_size=4), result=st.sampled_from(["a", "x"]) | VALUES)
def test_whatever_is_written_is_a_sound_plan_or_has_reasons(tasks: list[Any], result: Any) -> None:
    found = parse_plan(json.dumps({"tasks": tasks, "result": result}), BRIEFING)
    if isinstance(found, list):
        assert found
        assert all(0 < len(str(each)) < 4_000 for each in found[:MAX_REASONS])
        return
    assert not task_problems(TEAM, found.tasks)
    assert find_cycle({each.id: each.depends_on for each in found.tasks}) is None
    assert {each.id for each in found.tasks} == {each["id"] for each in tasks}
