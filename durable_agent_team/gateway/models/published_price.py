"""The price of a model of the catalogue, as the fields of a `Price`.

genai-prices names prices by unit (`cache_read_mtok`), with tiers for each unit, conditions by day
and hour of which the last active one holds, and variants by the context of a request, such as its
service tier. Sources: its `types.py` (`ModelInfo.get_prices`, `TieredPrices`), `data_units.py`.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

RATES = {
    "input_mtok": "input_usd_per_million",
    "output_mtok": "output_usd_per_million",
    "cache_read_mtok": "cached_input_usd_per_million",
    "cache_write_mtok": "cache_write_usd_per_million",
    "cache_write_1h_mtok": "cache_write_1h_usd_per_million",
    "output_reasoning_mtok": "reasoning_usd_per_million",
    "input_audio_mtok": "input_audio_usd_per_million",
    "cache_audio_read_mtok": "cached_audio_usd_per_million",
    "output_audio_mtok": "output_audio_usd_per_million",
    "input_image_mtok": "input_image_usd_per_million",
    "cache_image_read_mtok": "cached_image_usd_per_million",
    "output_image_mtok": "output_image_usd_per_million",
    "requests_kcount": "usd_per_request",
}
UNBOUNDED = "output_citation_mtok"
"""Tokens that no limit of a request bounds: a model with them has no price here."""
NINE_PLACES = Decimal("0.000000001")
"""Some figures of the catalogue are floats, such as 0.07999999999999999."""

Prices = Mapping[str, Any]


def price_fields(info: Any, at: datetime) -> dict[str, Any] | None:
    """Those of a `genai_prices.types.ModelInfo`; None where its input has no price per token."""
    base, later = _schedule(info.prices, at)
    if base.get("input_mtok") is None or base.get(UNBOUNDED) is not None:
        return None
    fields = _card(base)
    if later:
        fields["periods"] = [_period(each) for each in later]
    if tiers := _service_tiers(info, base, at):
        fields["service_tiers"] = tiers
    return fields


def _schedule(conditions: Any, at: datetime) -> tuple[Prices, list[Any]]:
    """What holds now, but for hours of the day; and the conditions that can take its place, in
    their order. Those that are over are left out."""
    if not isinstance(conditions, list):
        return conditions.__dict__, []
    newest = 0
    for number, each in enumerate(conditions):
        is_dated = hasattr(each.constraint, "start_date")
        if each.constraint is None or (is_dated and each.constraint.active(at)):
            newest = number
    rest = [each for each in conditions[newest + 1 :] if each.constraint is not None]
    return conditions[newest].prices.__dict__, rest


def _period(condition: Any) -> dict[str, Any]:
    constraint = condition.constraint
    fields = _card(condition.prices.__dict__)
    if hasattr(constraint, "start_date"):
        return {**fields, "from_date": constraint.start_date}
    times = {"from_time": constraint.start_time, "to_time": constraint.end_time}
    return {**fields, **{name: time.replace(tzinfo=None) for name, time in times.items()}}


def _service_tiers(info: Any, base: Prices, at: datetime) -> dict[str, dict[str, Any]]:
    """By their names in a request. A variant has only the prices that differ; of several, the first
    one that has a price counts."""
    found: dict[str, dict[str, Any]] = {}
    for variant in info.price_variants or ():
        if set(variant.when) != {"service_tier"}:
            continue
        if variant.constraint is None or variant.constraint.active(at):
            tier = found.setdefault(variant.when["service_tier"], {})
            for unit, price in variant.prices.__dict__.items():
                if price is not None:
                    tier.setdefault(unit, price)
    return {name: _card({**base, **prices}) for name, prices in found.items() if prices}


def _card(prices: Prices) -> dict[str, Any]:
    """The rates, and those of longer prompts."""
    card: dict[str, Any] = _rates(prices, 0)
    tiers = [
        {"above_prompt_tokens": start, **_rates(prices, start)}
        for start in sorted(set(_thresholds(prices)))
    ]
    return {**card, "tiers": tiers} if tiers else card


def _thresholds(prices: Prices) -> Iterator[int]:
    for unit in RATES:
        for tier in getattr(prices.get(unit), "tiers", ()):
            if tier.start > 0:
                yield tier.start


def _rates(prices: Prices, above: int) -> dict[str, Decimal]:
    """The rates of a prompt with more than this many tokens."""
    rates = {"output_usd_per_million": Decimal(0)}  # of embeddings, which have no output
    for unit, name in RATES.items():
        if (price := prices.get(unit)) is not None:
            rate = _rate(price, above)
            rates[name] = _nine_places(rate / 1_000 if unit == "requests_kcount" else rate)
    return rates


def _rate(price: Any, above: int) -> Decimal:
    if isinstance(price, Decimal):
        return price
    reached = [tier.price for tier in price.tiers if tier.start <= above]
    rate: Decimal = reached[-1] if reached and above else price.base
    return rate


def _nine_places(rate: Decimal) -> Decimal:
    return rate.quantize(NINE_PLACES).normalize()
