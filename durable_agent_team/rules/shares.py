"""How a team's budget is shared out among its agents."""

from collections.abc import Mapping
from decimal import ROUND_FLOOR, Decimal

from durable_agent_team.contracts.base import MICRO

ZERO = Decimal(0)


def shares(total_usd: Decimal, weights: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Splits a budget in proportion to the weights, rounded down: the parts never exceed it."""
    whole = sum(weights.values(), ZERO)
    if not whole:
        weights = dict.fromkeys(weights, Decimal(1))
        whole = Decimal(len(weights))
    return {
        name: (total_usd * weight / whole).quantize(MICRO, rounding=ROUND_FLOOR)
        for name, weight in weights.items()
    }
