"""Plans: the orchestrator's prompt, the schema of its answer, and the check of the answer.

Deterministic, since it runs inside the workflow. A plan has one of two forms (`briefing.PlanForm`),
by the model that makes it (docs/adr/040).
"""

from typing import Any

from durable_agent_team.contracts.plan import Plan, Problem
from durable_agent_team.rules import narrow_plans, whole_plans
from durable_agent_team.rules.briefing import Briefing, PlanForm


def plan_schema(briefing: Briefing) -> dict[str, Any]:
    """The JSON Schema of a plan for this team."""
    if briefing.form is PlanForm.NARROW:
        return narrow_plans.plan_schema(briefing.team)
    return whole_plans.plan_schema(briefing)


def plan_ask(briefing: Briefing) -> str:
    """The planning prompt without the goal, which the caller adds in front."""
    if briefing.form is PlanForm.NARROW:
        return narrow_plans.plan_ask(briefing.team)
    return whole_plans.plan_ask(briefing)


def parse_plan(answer: str, briefing: Briefing) -> Plan | list[Problem]:
    """The plan, or all its problems, which the orchestrator gets back.

    Whether each `output` of a whole plan is a JSON Schema takes too long to be checked here.
    """
    if briefing.form is PlanForm.NARROW:
        return narrow_plans.parse_plan(answer, briefing.team, briefing.goal)
    return whole_plans.parse_plan(answer, briefing)
