"""Pure: models as a table, and one model in full."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from durable_agent_team.cli.output import aligned_table
from durable_agent_team.cli.provider_models import CallableModel, is_price

UNIT = "_usd_per_million"
INPUT, CACHED, OUTPUT = (f"{each}{UNIT}" for each in ("input", "cached_input", "output"))
SHOWN = (INPUT, CACHED, OUTPUT)
APIS = {"chat": "chat completions", "messages": "Messages", "responses": "Responses"}
"""Names of an upstream's API, by what it speaks."""


def models_table(models: Sequence[CallableModel]) -> str:
    """One line a model; prices in USD per million tokens."""
    prices = ["input", "cached", "output"]
    head = ["model", "upstream", "context", *prices, "structure", "tools", "price from"]
    rows = [
        [
            each.id,
            each.upstream or "-",
            _count(each.context_tokens),
            *(_price(each.pricing.get(name)) for name in SHOWN),
            str(_dialect(each).get("structure", "-")),
            str(_dialect(each).get("tools", "-")),
            each.price_source or "-",
        ]
        for each in models
    ]
    count = f"{len(models)} models" if len(models) != 1 else "1 model"
    note = f"{count}; prices in USD per million tokens. `models NAME` shows everything of one."
    return "\n".join([aligned_table(head, rows, right=(2, 3, 4, 5)), "", note])


def model_text(model: CallableModel) -> str:
    """Everything that the gateway says of a model, a line each."""
    lines = dict(_lines(model))
    width = max(len(name) for name in lines)
    return "\n".join([model.id, *(f"  {name:<{width}}  {text}" for name, text in lines.items())])


def _lines(model: CallableModel) -> Iterator[tuple[str, str]]:
    extra: Mapping[str, Any] = model.model_extra or {}
    yield "upstream", model.upstream or "-"
    if extra.get("upstream_model") not in (None, model.id):
        yield "name there", str(extra["upstream_model"])
    if model.status != "active":
        yield "status", model.status
    if _embeds(model):
        yield "called at", "embeddings"
    elif extra.get("speaks") in APIS:
        yield "called at", APIS[extra["speaks"]]
    yield "context", f"{_count(model.context_tokens)} tokens"
    if extra.get("max_output_tokens"):
        yield "longest answer", f"{_count(extra['max_output_tokens'])} tokens"
    for name, value in model.pricing.items():
        if is_price(value):
            unit = " USD per million tokens" if name.endswith(UNIT) else ""
            yield name.removesuffix(UNIT).replace("_", " "), f"{_price(value)}{unit}"
        elif name == "tiers":
            yield from _tiers(value)
        elif name == "service_tiers":
            for tier, prices in value.items():
                yield f"tier {tier}", _prices(prices)
                yield from _tiers(prices.get("tiers"), f"tier {tier}, ")
        elif value:
            yield name.replace("_", " "), _plain(value)
    yield "price from", model.price_source or "-"
    for name, value in _dialect(model).items():
        if value not in (None, False, [], {}, ""):
            yield name.replace("_", " "), _plain(value)
    if extra.get("planning") and not _embeds(model):
        yield "planning", str(extra["planning"])
    if extra.get("note"):
        yield "note", str(extra["note"])


def _embeds(model: CallableModel) -> bool:
    """Whether it answers no chat. Then the gateway's `speaks` and `dialect` mean nothing."""
    return (model.model_extra or {}).get("kind") == "embedding"


def _dialect(model: CallableModel) -> Mapping[str, Any]:
    return {} if _embeds(model) else model.dialect


def _tiers(tiers: Any, before: str = "") -> Iterator[tuple[str, str]]:
    """Prices of requests with a long prompt."""
    for tier in tiers or ():
        above = _count(tier.get("above_prompt_tokens"))
        yield f"{before}prompts above {above}", _prices(tier)


def _prices(prices: Mapping[str, Any]) -> str:
    """Those that differ, in one line; per million tokens."""
    named = [
        f"{name.removesuffix(UNIT).replace('_', ' ')} {_price(value)}"
        for name, value in prices.items()
        if is_price(value) and "usd" in name
    ]
    return ", ".join(named) or "-"


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_plain(each)}" for name, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_plain(each) for each in value)
    return "yes" if value is True else str(value)


def _price(value: Any) -> str:
    """Without zeros at its end, but with two decimal places at least."""
    if not is_price(value):
        return "-"
    text = f"{Decimal(value):f}"
    whole, _, places = text.partition(".")
    return f"{whole}.{places.rstrip('0').ljust(2, '0')}"


def _count(number: int | None) -> str:
    return "-" if number is None else f"{number:,}".replace(",", " ")
