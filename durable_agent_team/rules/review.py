"""Reviews: the orchestrator sees what is done and what failed, and revises the plan or finishes.

As a plan, a review has the form that its model can be asked for (`briefing.PlanForm`).
"""

from collections.abc import Mapping
from typing import Any, Final

from durable_agent_team.contracts.plan import Plan, Problem
from durable_agent_team.contracts.run import TaskStatus
from durable_agent_team.rules import narrow_reviews, whole_reviews
from durable_agent_team.rules.briefing import Briefing, PlanForm
from durable_agent_team.rules.revision import Review

MAX_SHOWN: Final = 4_000
"""Characters of each hand-off in the prompt of a review."""


def review_schema(
    briefing: Briefing, status: Mapping[str, TaskStatus], result: str | None
) -> dict[str, Any]:
    """The JSON Schema of a review."""
    if briefing.form is PlanForm.NARROW:
        return narrow_reviews.review_schema(briefing.team, status, result)
    return whole_reviews.review_schema(briefing)


def review_ask(
    briefing: Briefing,
    status: Mapping[str, TaskStatus],
    plan: Plan,
    failures: Mapping[str, str],
    number: int = 1,
) -> str:
    """The prompt: every task with its status. Finished work is in the sources."""
    if briefing.form is PlanForm.NARROW:
        return narrow_reviews.review_ask(status, plan, failures)
    return whole_reviews.review_ask(briefing, status, plan, failures, number)


def parse_review(
    answer: str, briefing: Briefing, plan: Plan, number: int
) -> tuple[Review, Plan] | list[Problem]:
    """The review and the revised plan, or all its problems."""
    if briefing.form is PlanForm.NARROW:
        return narrow_reviews.parse_review(answer, briefing.team, plan, briefing.goal, number)
    return whole_reviews.parse_review(answer, briefing, plan, number)
