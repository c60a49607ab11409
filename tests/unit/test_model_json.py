"""JSON from models: whatever it is, a plan or a review is read or refused, and never raises."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_agent_team.contracts.plan import Plan
from durable_agent_team.contracts.team import Agent, Task, Team
from durable_agent_team.rules.briefing import Briefing, PlanForm
from durable_agent_team.rules.model_json import MAX_DEPTH, parse
from durable_agent_team.rules.planning import parse_plan
from durable_agent_team.rules.review import parse_review
from tests.support.cpu_time import cpu_within

TEAM = Team(name="t", goal="Know a tree.", agents={"a": Agent(role="Botanist")})
PLAN = Plan(tasks=(Task(id="one", agent="a", ask="Name a tree."),), result="one")

BROKEN = [
    "[" * 5_000 + "]" * 5_000,
    '{"tasks": ' + "[" * 900 + "]" * 900 + "}",
    '{"a":' * 2_000 + "1" + "}" * 2_000,
    '{"tasks": [' + "9" * 5_000 + "]}",
    '{"tasks": [1e999999]}',
    '{"tasks": [{"id": "\\ud800", "agent": "a", "ask": "x"}]}',
    '{"redo": ["\\ud800"], "drop": [], "add": []}',
    '{"tasks": [NaN]}',
    json.dumps({"tasks": [{"id": f"t{n}", "agent": "a", "ask": "x"} for n in range(4_000)]}),
    json.dumps({"redo": ["x" * 1_000] * 190, "drop": [], "add": []}),
    "",
    "null",
]


@pytest.mark.parametrize("form", PlanForm)
@pytest.mark.parametrize("answer", BROKEN, ids=range(len(BROKEN)))
def test_a_broken_answer_has_problems_that_can_be_stored(answer: str, form: PlanForm) -> None:
    with cpu_within(seconds=1):
        for found in (
            parse_plan(answer, Briefing(TEAM, "Know a tree.", form)),
            parse_review(answer, Briefing(TEAM, "Know a tree.", form), PLAN, 1),
        ):
            assert isinstance(found, list)
            assert found
            for problem in found[:20]:
                problem.model_dump_json().encode()
                assert len(str(problem)) < 3_000


@given(st.recursive(st.none() | st.text() | st.integers(), lambda inner: st.lists(inner)))
def test_other_values_are_read_as_json_reads_them(value: Any) -> None:
    text = json.dumps(value)
    try:
        text_is_whole = json.dumps(value, ensure_ascii=False).encode() is not None
    except UnicodeEncodeError:
        text_is_whole = False
    if text_is_whole:
        assert parse(text) == value


@pytest.mark.parametrize("levels", [MAX_DEPTH, MAX_DEPTH + 1])
def test_the_depth_is_bounded(levels: int) -> None:
    text = "[" * levels + "]" * levels
    if levels <= MAX_DEPTH:
        parse(text)
    else:
        with pytest.raises(ValueError, match="100 levels"):
            parse(text)
