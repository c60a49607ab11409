"""The terms of a plan or a review that is being asked for."""

from dataclasses import dataclass, field
from decimal import Decimal

from durable_agent_team.rules.briefing import PlanForm
from durable_agent_team.rules.revision import MAX_ADDED


@dataclass
class PlanningTerms:
    """Fixed when the step begins, so that the run's next execution asks in the same words, and
    takes up the call that is in flight."""

    form: PlanForm = PlanForm.NARROW
    left_usd: dict[str, Decimal] = field(default_factory=dict)
    """What each agent's account had left, as the prompt says."""
    max_tokens: int | None = None
    """The limit of the answer; None for the orchestrator's own."""
    most_added: int = MAX_ADDED
    """Tasks that a review may add."""
