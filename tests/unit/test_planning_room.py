"""How long plans and reviews may be, what reviews may add, and what that can cost."""

import json
from decimal import Decimal
from typing import Any

import pytest

from durable_agent_team.contracts.model_catalog import ModelCatalog, ModelPrice
from durable_agent_team.contracts.plan import Plan
from durable_agent_team.contracts.run import RunRequest
from durable_agent_team.contracts.team import Team
from durable_agent_team.rules.briefing import Briefing
from durable_agent_team.rules.budgets import budgets_usd
from durable_agent_team.rules.estimate import estimate
from durable_agent_team.rules.planning import plan_ask
from durable_agent_team.rules.planning_room import most_added, planning_tokens
from durable_agent_team.rules.whole_reviews import parse_review, review_ask

OWN: dict[str, Any] = {"orchestrator": {"max_tokens": 600}}


def team(**changes: Any) -> Team:
    given = {
        "name": "licences",
        "goal": "Know the licences.",
        "max_tasks": 12,
        "agents": {"lawyer": {"role": "Lawyer"}, "writer": {"role": "Writer"}},
    }
    return Team.model_validate({**given, **changes})


def catalog(with_room: bool = True, **price: Any) -> ModelCatalog:
    given = {"model": "m", "input_usd": Decimal(1), "output_usd": Decimal(10), **price}
    return ModelCatalog(
        models=(ModelPrice.model_validate(given),), default_model="m", priced=True,
        plans_by_model=True, plans_with_room=with_room,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "known", "available", "tokens"),
    [
        ({}, catalog(), None, 4_096),
        ({}, catalog(max_output_tokens=64_000), None, 8_192),
        ({}, catalog(max_output_tokens=2_000), None, 2_000),
        ({}, catalog(max_output_tokens=400), None, None),
        ({}, catalog(context_tokens=8_000), None, 2_000),
        ({}, catalog(), Decimal("0.04"), 1_961),
        ({}, catalog(), Decimal("0.004"), None),
        (OWN, catalog(max_output_tokens=64_000), None, None),
        ({}, catalog(planning="narrow"), None, None),
        ({}, catalog(with_room=False), None, None),
        ({"orchestrator": {"model": "unpriced"}}, catalog(), Decimal(1), 4_096),
    ],
)
def test_a_plan_has_room_within_model_context_and_half_of_the_account(
    changes: dict[str, Any], known: ModelCatalog, available: Decimal | None, tokens: int | None
) -> None:
    assert planning_tokens(team(**changes), known, available) == tokens


def test_the_prompt_says_how_long_the_plan_may_be() -> None:
    briefing = Briefing(team(), "Know the licences.", max_tokens=4_096)
    assert "in 4,096 tokens at most" in plan_ask(briefing)
    assert "in 600 tokens at most" in plan_ask(Briefing(team(**OWN), "Know the licences."))


def test_a_review_may_add_what_max_tasks_leaves() -> None:
    added = [{"agent": "writer", "ask": f"Write part {n}."} for n in range(11)]
    plan = Plan.model_validate({"tasks": [{"id": "a", "agent": "lawyer", "ask": "Read."}]})
    most = most_added(team(), catalog())
    briefing = Briefing(team(), "Know the licences.", catalog=catalog(), most_added=most)
    assert "You may add 11 tasks. Their ids are review1-1, " in review_ask(
        briefing, {"a": "done"}, plan, {}, 1  # type: ignore[dict-item]
    )  # fmt: skip
    found = parse_review(json.dumps({"add": added}), briefing, plan, 1)
    assert isinstance(found, tuple)
    assert [each.id for each in found[1].tasks[1:]] == [f"review1-{n}" for n in range(1, 12)]
    problems = parse_review(json.dumps({"add": [*added, added[0]]}), briefing, plan, 1)
    assert isinstance(problems, list)
    assert "more than max_tasks, 12" in str(problems[0])
    assert most_added(team(), catalog(planning="narrow")) == 3
    assert most_added(team(), catalog(with_room=False)) == 3


def test_the_estimate_has_the_longer_plan_and_starts_with_the_default() -> None:
    limited = team(orchestrator={"budget_usd": 5}, budget_usd=9)
    before, now = (
        next(each for each in estimate(RunRequest(team=limited), known).calls)
        for known in (catalog(with_room=False), catalog())
    )
    assert now.subject == before.subject == "plan"
    assert now.usd is not None
    assert before.usd is not None
    assert now.usd - before.usd >= (4_096 - 512) * Decimal(10) / 1_000_000
    assert now.least_usd is not None
    assert before.least_usd is not None
    assert now.least_usd - before.least_usd < Decimal("0.0001"), "its own max_tokens must be free"


def test_documents_count_in_the_shares_of_a_planned_team() -> None:
    agents = {"lawyer": {"role": "Lawyer", "inputs": ["GPL.txt"]}, "writer": {"role": "Writer"}}
    planned, texts = team(budget_usd=9, agents=agents), {"GPL.txt": "x" * 100_000}
    budgets = budgets_usd(planned, texts, catalog())
    assert budgets["lawyer"] > 10 * budgets["writer"]
    before = budgets_usd(planned, texts, catalog(with_room=False))
    assert before["lawyer"] == before["writer"], "as runs of earlier versions were opened"
