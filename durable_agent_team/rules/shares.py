"""Splits an amount in proportion to weights."""

from collections.abc import Mapping
from decimal import ROUND_FLOOR, Decimal

from durable_agent_team.contracts.base import MICRO

ZERO = Decimal(0)


def shares(total_usd: Decimal, weights: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Splits a budget in proportion to the weights, rounded down: the parts never exceed it.

    A weight of zero gets a micro-dollar, the smallest limit that there is, and the others share
    the rest. Where all weights are zero, the parts are equal.
    """
    whole = sum(weights.values(), ZERO)
    if not whole:
        weights = dict.fromkeys(weights, Decimal(1))
        whole = Decimal(len(weights))
    unweighted = sum(not weight for weight in weights.values())
    least = MICRO if unweighted * MICRO <= total_usd else ZERO
    rest = total_usd - unweighted * least
    return {
        name: (rest * weight / whole).quantize(MICRO, rounding=ROUND_FLOOR) if weight else least
        for name, weight in weights.items()
    }
