"""The cost that an upstream reports for a call, in micro-USD.

Sources: ATXP (`_meta.cascade.cost_usd`), OpenRouter's usage accounting (`usage.cost`, which for a
key of the operator's own is only the fee), xAI's cost tracking (ticks of 10^-10 USD), Perplexity's
breakdown (`usage.cost.total_cost`), DeepInfra (`usage.estimated_cost`).
"""

import re
from decimal import ROUND_CEILING, Decimal
from typing import Any

from durable_agent_team.gateway.amounts import MAX_MICRO, MICRO

TICKS_PER_MICRO_USD = 10**4
OPERATORS_COST = frozenset(
    {"cost", "cost_usd", "estimated_cost", "cost_details", "cost_in_usd_ticks"}
)
AMOUNT = re.compile(r"[0-9]{1,30}(\.[0-9]{0,40})?([eE][+-]?[0-9]{1,3})?", re.ASCII)


def reported_cost(data: dict[str, Any]) -> int | None:
    """Rounded up; 0 if no cost is reported; None if one is reported that cannot be believed."""
    usage = data["usage"] if isinstance(data.get("usage"), dict) else {}
    if OPERATORS_COST.isdisjoint(usage) and OPERATORS_COST.isdisjoint(data) and "_meta" not in data:
        return 0
    cascade = _cascade(data)
    for value in (
        cascade.get("cost_usd"),
        data.get("cost_usd"),
        data.get("cost"),
        usage.get("cost"),
        usage.get("cost_usd"),
        usage.get("estimated_cost"),
    ):
        if isinstance(value, dict):  # a breakdown, whose sum Perplexity names so
            value = value.get("total_cost")
        if not value or isinstance(value, dict):
            continue
        cost = _micro(value)
        if cost != 0:
            return _with_own_key(cost, usage)
    return _with_own_key(_ticks(usage.get("cost_in_usd_ticks")), usage)


def _with_own_key(cost: int | None, usage: dict[str, Any]) -> int | None:
    """With what the provider behind a router bills to the operator's own key."""
    details = usage.get("cost_details")
    if cost is None or usage.get("is_byok") is not True or not isinstance(details, dict):
        return cost
    behind = _micro(details.get("upstream_inference_cost") or 0)
    return None if behind is None else cost + behind


def _ticks(value: Any) -> int | None:
    """Micro-USD of xAI's ticks; 0 without any, None for what cannot be believed."""
    if not value:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        return None
    micro = -(-value // TICKS_PER_MICRO_USD)
    return micro if micro <= MAX_MICRO else None


def _micro(value: Any) -> int | None:
    """None for what is not an amount: a list, NaN, a negative number, more than MAX_MICRO."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    text = str(value).strip()
    if not AMOUNT.fullmatch(text):
        return None
    micro = Decimal(text) * MICRO
    return int(micro.to_integral_value(ROUND_CEILING)) if micro <= MAX_MICRO else None


def _cascade(data: dict[str, Any]) -> dict[str, Any]:
    meta = data.get("_meta")
    cascade = meta.get("cascade") if isinstance(meta, dict) else None
    return cascade if isinstance(cascade, dict) else {}


def without_upstream_cost(part: dict[str, Any]) -> dict[str, Any]:
    """Removes what the call cost the operator: the account is charged another amount, and a client
    that added up the wrong one would contradict the ledger."""
    if OPERATORS_COST.isdisjoint(part) and "_meta" not in part:
        return dict(part)
    kept = {name: value for name, value in part.items() if name not in OPERATORS_COST}
    if _cascade(kept):
        cascade = {name: each for name, each in _cascade(kept).items() if name != "cost_usd"}
        kept["_meta"] = {**kept["_meta"], "cascade": cascade}
    return kept
