"""What a plan is made from, and judged by."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from durable_agent_team.contracts.model_catalog import ModelCatalog
from durable_agent_team.contracts.team import Team
from durable_agent_team.contracts.text_ref import Text
from durable_agent_team.rules.catalog import model_of, price_of
from durable_agent_team.rules.revision import MAX_ADDED


class PlanForm(StrEnum):
    """What a model can be asked for."""

    NARROW = "narrow"
    """A template to fill in, under a grammar that allows one sentence for each agent."""
    WHOLE = "whole"
    """Everything that a team file can say about tasks."""


@dataclass(frozen=True)
class Briefing:
    """For one plan or review. `left_usd`: by agent; empty where it is not known."""

    team: Team
    goal: str
    form: PlanForm = PlanForm.WHOLE
    documents: Mapping[str, Text] = field(default_factory=dict)
    """That the run has, by name."""
    catalog: ModelCatalog = field(default_factory=ModelCatalog)
    left_usd: Mapping[str, Decimal] = field(default_factory=dict)
    max_tokens: int | None = None
    """The limit of the answer; None for the orchestrator's own."""
    most_added: int = MAX_ADDED
    """Tasks that one review may add, where `max_tasks` has room for them."""


def plan_form(team: Team, catalog: ModelCatalog) -> PlanForm:
    """The form for the orchestrator's model, by its entry in the catalog. The narrow one with a
    catalog of an earlier version."""
    if not catalog.plans_by_model:
        return PlanForm.NARROW
    price = price_of(catalog, model_of(team.orchestrator, catalog))
    told = price.planning if price is not None else None
    return PlanForm(told or PlanForm.WHOLE)
