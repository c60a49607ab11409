"""Pure: what a chat completion cost. Absent or zero with tokens used is unknown, never free."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from durable_agent_team.contracts.base import MAX_USD, decimal_of, round_up, signed_usd_of
from durable_agent_team.contracts.call import Usage
from durable_agent_team.contracts.model_catalog import PER_MILLION, ModelPrice

COST_PATHS = (
    ("_meta", "cascade", "cost_usd"),
    ("cost_usd",),
    ("cost",),
    ("usage", "cost"),
    ("usage", "cost_usd"),
)
"""Where ATXP and its like put the cost, in the order in which they are believed."""

HIGHEST_PRICE = ModelPrice(model="highest", input_usd=Decimal(150), output_usd=Decimal(600))
"""The highest list price of a public model (o1-pro, USD per million tokens): the worst case of a
call whose endpoint tells neither its cost nor any price."""


@dataclass(frozen=True)
class Cost:
    usd: Decimal
    estimated: bool


def usage_of(body: Mapping[str, Any]) -> Usage:
    """Tokens as the answer reports them; what it does not report is 0. An answer has at least what
    the total has beyond the prompt: some providers do not count thinking as part of it."""
    usage = body.get("usage")
    if not isinstance(usage, Mapping):
        return Usage()
    cached, written = (
        _part(usage, "prompt_tokens_details", name)
        for name in ("cached_tokens", "cache_write_tokens")
    )
    figures = {
        "cached_tokens": cached,
        "cache_write_tokens": written,
        "reasoning_tokens": _part(usage, "completion_tokens_details", "reasoning_tokens"),
        "saved_usd": signed_usd_of(usage.get("saved_usd")),
    }
    prompt = _count(usage.get("prompt_tokens"))
    answer = max(_count(usage.get("completion_tokens")), _count(usage.get("total_tokens")) - prompt)
    if cached > prompt:
        figures["cached_tokens"] = 0
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=answer if prompt else _count(usage.get("completion_tokens")),
        **{name: figure for name, figure in figures.items() if figure},
    )


def reported_cost(body: Mapping[str, Any]) -> Cost | None:
    """The cost that the answer itself reports; None where it reports none, or zero."""
    for path in COST_PATHS:
        value: Any = body
        for name in path:
            value = value.get(name) if isinstance(value, Mapping) else None
        amount = decimal_of(value)
        if amount is not None and 0 < amount <= MAX_USD:
            usage = body.get("usage")
            estimated = isinstance(usage, Mapping) and usage.get("estimated") is True
            return Cost(round_up(amount), estimated)
    return None


def priced_cost(usage: Usage, price: ModelPrice | None) -> Cost | None:
    """Tokens times the price table, or None where either is unknown."""
    if price is None or price.input_usd is None or price.output_usd is None:
        return None
    if usage.prompt_tokens == 0 or usage.completion_tokens == 0:
        return None
    if price.tiers or price.dearest_output_usd is not None:
        most = price.most_usd(usage.prompt_tokens, usage.completion_tokens)
        return None if most is None else Cost(round_up(most), estimated=True)
    cached = price.input_usd if price.cached_input_usd is None else price.cached_input_usd
    tokens_usd = (
        (usage.prompt_tokens - usage.cached_tokens) * price.input_usd
        + usage.cached_tokens * cached
        + usage.completion_tokens * price.output_usd
    )
    return Cost(round_up(tokens_usd / PER_MILLION + price.request_usd), estimated=False)


def worst_case(
    request_bytes: int, max_tokens: int, model: str, catalog: Sequence[ModelPrice]
) -> Cost:
    """The most that the call can have cost: a token has at least one byte.

    At the model's own price, or else at the highest of the catalog, or else at the highest known.
    """
    priced = [p for p in catalog if p.is_priced]
    prices = [p for p in priced if p.model == model] or priced or [HIGHEST_PRICE]
    amounts = (p.most_usd(request_bytes, max_tokens) or Decimal(0) for p in prices)
    return Cost(round_up(max(amounts)), estimated=True)


def _part(usage: Mapping[str, Any], details: str, name: str) -> int:
    inside = usage.get(details)
    return _count(inside.get(name)) if isinstance(inside, Mapping) else 0


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
