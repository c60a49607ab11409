"""No task gets the goal, however it is written."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durable_agent_team.contracts.plan import Plan, Problem
from durable_agent_team.contracts.run import RunRequest
from durable_agent_team.contracts.team import Task, Team
from durable_agent_team.rules.briefing import Briefing, PlanForm
from durable_agent_team.rules.goal_check import (
    contains_goal,
    goal_copies,
    goal_problems,
    repeats_goal,
)
from durable_agent_team.rules.planning import parse_plan
from durable_agent_team.rules.review import parse_review
from durable_agent_team.rules.validation import team_warnings
from tests.support.fuzzing import examples

GOAL = "Tell the board, whether to enter the market."
TEAM = Team.model_validate({"name": "brief", "agents": {"research": {"role": "R"}}})
INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u034f\u061c\u115f\u1160\u3164\uffa0\u180e" + (
    "\u202e\u2066\u2069\ufe0f\U000e0100\U000e0001\u0336\u2800\x00\x1b"
)
HOMOGLYPHS = str.maketrans("aeopcxkmtHTB", "аеорсхкмтНТВ")

WRITTEN = {
    "the same": GOAL,
    "another full stop": GOAL[:-1] + "!",
    "none": GOAL[:-1],
    "upper case": f"Now {GOAL.upper()}",
    "other punctuation": "Tell the board whether – to enter the “market”",
    "no spaces": GOAL.replace(" ", ""),
    "hyphens for spaces": GOAL.replace(" ", "-"),
    "spaced letters": " ".join(GOAL),
    "lines": GOAL.replace(" ", "\n"),
    "wide letters": "".join(chr(ord(c) + 0xFEE0) if c.isalpha() else c for c in GOAL),
    "mathematical letters": "".join(
        chr(0x1D41A + ord(c) - 97) if "a" <= c <= "z" else c for c in GOAL.lower()
    ),
    "Cyrillic letters": GOAL.translate(HOMOGLYPHS),
    "capital I for l": GOAL.replace("l", "I"),
    "zero for o": GOAL.replace("o", "0"),
    "accents": GOAL.replace("e", "e\u0301"),
    "tags": "List the prices." + "".join(chr(0xE0000 + ord(c)) for c in GOAL),
    **{f"U+{ord(c):04X}": c.join(GOAL) for c in INVISIBLE},
}


@pytest.mark.parametrize("ask", WRITTEN.values(), ids=WRITTEN)
def test_plans_reviews_added_tasks_and_the_warning_find_it(ask: str) -> None:
    task = Task(id="a", agent="research", ask=ask)
    assert [each.field for each in goal_problems((task,), GOAL)] == ["tasks.a.ask"]
    written = {"id": "a", "agent": "research", "ask": ask, "depends_on": []}
    plan = Plan(tasks=(Task(id="b", agent="research", ask="List the facts."),))
    added = {"agent": "research", "ask": ask, "depends_on": []}
    for form in PlanForm:
        briefing = Briefing(TEAM, GOAL, form)
        planned = parse_plan(json.dumps({"tasks": [written]}), briefing)
        assert isinstance(planned, list)
        assert "repeats the whole goal" in str(planned[0])
        reviewed = parse_review(json.dumps({"add": [added]}), briefing, plan, 1)
        assert isinstance(reviewed, list)
        assert [each.field for each in reviewed] == ["tasks.review1-1.ask"]
    request = RunRequest(team=TEAM.model_copy(update={"tasks": (task,)}), goal=GOAL)
    assert any("contains the goal" in each.what for each in team_warnings(request))


@pytest.mark.parametrize(
    ("ask", "goal"),
    [
        ("decide", "Decide whether"),
        ("List the prices in the market.", GOAL),
        ("Describe the Stogov case.", "To go."),
        ("List the prices.", "?!"),
        ("List the prices.", "\u200b"),
        ("", GOAL),
    ],
)
def test_another_text_is_not_the_goal(ask: str, goal: str) -> None:
    assert not contains_goal(ask, goal)


LONG = "Tell the board of a bicycle maker whether to enter the European market. Say why."


@pytest.mark.parametrize(
    "text",
    [
        LONG,
        LONG.replace(" ", "\\n"),
        LONG.replace(" ", "&nbsp;"),
        f"You are to do this: '{LONG.lower()}' Begin now.",
        f"Say why. And please: {LONG.split('.')[0].lower()}",
        LONG.replace("maker whether", "maker, in plain words, whether"),
    ],
)
def test_a_copy_in_pieces_or_behind_escapes_is_found(text: str) -> None:
    assert repeats_goal(text, LONG)
    task = Task(id="a", agent="b", ask="List it.", output={"description": text})
    assert [each.field for each in goal_copies((task,), LONG)] == ["tasks.a.output"]


@pytest.mark.parametrize(
    ("text", "goal"),
    [
        ("Summarise the second chapter in three lines.", "Summarise."),
        ("Describe how to go from Turin to Genoa by train.", "To go."),
        ("List what a mosquito god is offered.", "to go"),
        ("Tell whether bicycle makers enter the European market early or late.", LONG),
        ("Say why the board of a maker of bicycles left the European market.", LONG),
        ("List the duties of section 2.", LONG),
    ],
)
def test_a_narrow_order_is_no_copy(text: str, goal: str) -> None:
    assert not repeats_goal(text, goal)


@pytest.mark.parametrize("text", ["Summarise!", "Please summarise now.", "SUMMARISE"])
def test_a_short_goal_is_found_where_little_else_is_said(text: str) -> None:
    assert repeats_goal(text, "Summarise.")


def test_the_goal_as_an_id_is_found() -> None:
    task = Task(id="enter-the-european-market", agent="b", ask="List it.")
    assert [each.field for each in goal_copies((task,), "Enter the European market")] == [
        "tasks.a.id".replace(".a.", f".{task.id}.")
    ]


def test_a_goal_of_signs_alone_is_compared_as_it_is() -> None:
    assert contains_goal("Do 🚀🚀 now", "🚀🚀")
    assert not contains_goal("Do it now", "🚀🚀")


def test_a_goal_in_another_script_is_found() -> None:
    assert contains_goal("现在：是否 进入,市场？", "是否进入市场。")
    assert contains_goal("РЕШИ, входить ли на рынок", "Реши входить ли на рынок.")


def test_a_review_may_keep_the_tasks_of_a_given_plan_that_contain_the_goal() -> None:
    """They are the operator's: `validate` warns of them."""
    plan = Plan(tasks=(Task(id="b", agent="research", ask=GOAL),))
    added = {"agent": "research", "ask": "List the prices.", "depends_on": []}
    for form in PlanForm:
        found = parse_review(json.dumps({"add": [added]}), Briefing(TEAM, GOAL, form), plan, 1)
        assert isinstance(found, tuple)


@pytest.mark.fuzz
@settings(max_examples=examples(100), deadline=None)
@given(
    goal=st.text(max_size=60), before=st.text(max_size=20), after=st.text(max_size=20),
    seed=st.integers(0, 2**32),
)  # fmt: skip
def test_any_goal_is_found_between_any_texts(goal: str, before: str, after: str, seed: int) -> None:
    chosen = random.Random(seed)
    hidden = "".join(letter + chosen.choice(["", "", chosen.choice(INVISIBLE)]) for letter in goal)
    assert contains_goal(f"{before} {goal} {after}", goal) == bool(goal.strip())
    if any(letter.isalnum() for letter in goal):
        assert contains_goal(hidden, goal)
    found = list(goal_problems((Task(id="a", agent="b", ask=f"{goal}x"),), goal))
    assert all(isinstance(each, Problem) and len(str(each)) < 2_000 for each in found)
