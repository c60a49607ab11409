"""What all contracts share: the frozen base model, and money."""

from decimal import ROUND_CEILING, Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

MICRO = Decimal("0.000001")
MAX_USD = Decimal(10**12)
MAX_BUDGET_USD = Decimal(1_000_000)

Usd = Annotated[Decimal, Field(ge=0, le=MAX_USD, decimal_places=6)]
"""US dollars, to the micro-dollar. Never a float: JSON carries it as a string."""

BudgetUsd = Annotated[Decimal, Field(gt=0, le=MAX_BUDGET_USD, decimal_places=6)]
"""A limit that somebody sets."""


class Message(BaseModel):
    """Base of every message: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def round_up(amount: Decimal) -> Decimal:
    """To the next micro-dollar: a charge is never rounded in the payer's favour."""
    return amount.quantize(MICRO, rounding=ROUND_CEILING)
