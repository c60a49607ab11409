"""What is kept of a turn for people, besides what was said."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from durable_agent_team.contracts.call import Usage


@dataclass
class TurnRecord:
    """One paid answer of the model, with or without calls of tools."""

    model: str
    cost_usd: Decimal = Decimal(0)
    usage: Usage = field(default_factory=Usage)
    started_at: datetime | None = None
    thinking: str = ""
    """How it begins."""
