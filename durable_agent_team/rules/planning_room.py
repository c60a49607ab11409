"""How long the answer may be in which an orchestrator without a `max_tokens` plans or reviews.

The default of every agent, 512 tokens, is short for a whole plan, and shorter than what many models
think before they write one. So such a call gets more, within the model, its context and half of
what the account has left: the rest is for the reviews and the answer. An orchestrator with a
`max_tokens` of its own keeps to it.
"""

from decimal import Decimal

from durable_agent_team.contracts.model_catalog import ModelCatalog
from durable_agent_team.contracts.team import Team
from durable_agent_team.rules.briefing import PlanForm, plan_form
from durable_agent_team.rules.catalog import context_of, model_of, price_of
from durable_agent_team.rules.repair_room import payable_tokens
from durable_agent_team.rules.revision import MAX_ADDED

KNOWN_TOKENS = 8_192
"""For a model of which the catalogue says how long its answers can be."""
UNKNOWN_TOKENS = 4_096
"""Otherwise: few models refuse a request with this many."""
PART_OF_CONTEXT = 4
"""At most a quarter of the context: the rest is for the prompt."""


def planning_tokens(team: Team, catalog: ModelCatalog, available_usd: Decimal | None) -> int | None:
    """None for the orchestrator's own `max_tokens`. `available_usd` is what its account can still
    promise; None where that is not known."""
    caller = team.orchestrator
    if "max_tokens" in caller.model_fields_set or not _has_room(team, catalog):
        return None
    price = price_of(catalog, model_of(caller, catalog))
    longest = price.max_output_tokens if price else None
    context = context_of(caller, price)
    bounds = [UNKNOWN_TOKENS if longest is None else min(longest, KNOWN_TOKENS)]
    if context is not None:
        bounds.append(context // PART_OF_CONTEXT)
    if available_usd is not None:
        bounds.append(payable_tokens(available_usd / 2, 0, price))
    tokens = min(bounds)
    return tokens if tokens > caller.max_tokens else None


def most_added(team: Team, catalog: ModelCatalog) -> int:
    """How many tasks one review may add: in the whole form, as many as `max_tasks` leaves."""
    return team.max_tasks if _has_room(team, catalog) else MAX_ADDED


def _has_room(team: Team, catalog: ModelCatalog) -> bool:
    return catalog.plans_with_room and plan_form(team, catalog) is PlanForm.WHOLE
