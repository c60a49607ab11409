"""What a run has taken over from one that ended."""

from dataclasses import dataclass
from decimal import Decimal

from durable_agent_team.contracts.seed import Paid
from durable_agent_team.contracts.text_ref import Text


@dataclass
class Reused:
    """Where something was made and paid, and what it cost there. USD."""

    origin: str
    cost_usd: Decimal

    @classmethod
    def of(cls, paid: Paid, origin: str) -> "Reused":
        return cls(paid.origin or origin, paid.cost_usd)


@dataclass
class TakenOver:
    """Besides the tasks, of which `PlanProgress.reused` has a line each."""

    origin: str
    plan: Reused | None = None
    answer: Reused | None = None
    answer_text: Text | None = None
    """The final answer, which counts if no task runs."""
    answer_counts: bool = False
    """It became the run's own."""

    @property
    def reused_usd(self) -> Decimal:
        """What the plan and the answer cost there."""
        counted = (self.plan, self.answer if self.answer_counts else None)
        return sum((each.cost_usd for each in counted if each is not None), Decimal(0))
