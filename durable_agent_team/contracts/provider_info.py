"""What an endpoint reports in JSON: its models, their prices and its capabilities."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from durable_agent_team.contracts.accounts import Capabilities
from durable_agent_team.contracts.base import count_of, decimal_of
from durable_agent_team.contracts.model_catalog import (
    MAX_TIERS,
    ModelCatalog,
    ModelPrice,
    PromptTier,
    UnavailableModel,
)

MAX_MODELS = 2_000
BUNDLED_MODEL = "smollm2-135m"
"""Plans in the narrow form and knows no tools, also where a gateway does not say so."""


def model_prices(body: Any) -> tuple[ModelPrice, ...] | None:
    """What `GET /models` answered, its fractions as `Decimal`; None where there is no list.

    Prices are USD per million tokens, and None where the endpoint does not tell them.
    """
    lines = body.get("data") if isinstance(body, Mapping) else None
    if not isinstance(lines, list):
        return None
    found = (model_price(line) for line in lines)
    return tuple(model for model in found if model is not None)[:MAX_MODELS]


def unavailable_model(name: str, error: Mapping[str, Any]) -> UnavailableModel:
    """Why a model cannot be called, from the fields of the endpoint's error."""
    needs, nearest = error.get("needs"), error.get("nearest")
    near = nearest if isinstance(nearest, list) else []
    return UnavailableModel(
        model=name[:200],
        needs=needs[:200] if isinstance(needs, str) else "",
        nearest=tuple(each[:200] for each in near if isinstance(each, str))[:5],
    )


def max_call_seconds(body: Any) -> float | None:
    """The longest that the endpoint lets a call take, as its `GET /models` says; None where it does
    not."""
    limits = body.get("limits") if isinstance(body, Mapping) else None
    told = decimal_of(limits.get("max_call_seconds")) if isinstance(limits, Mapping) else None
    return float(told) if told else None


def has_scopes(body: Any) -> bool | None:
    """Whether the endpoint serves `/scopes`, as its `GET /models` says. Only our gateway declares
    capabilities; one from before it declared this may have them: None."""
    told = body.get("capabilities") if isinstance(body, Mapping) else None
    if not isinstance(told, Mapping):
        return False
    return told["scopes"] is True if "scopes" in told else None


def has_charges(body: Any) -> bool:
    """Whether accounts can be charged for calls of tools, as `GET /models` says."""
    return declared_capabilities(body.get("capabilities")).charges


def catalog_of(
    models: tuple[ModelPrice, ...],
    default_model: str | None,
    max_call_seconds: float | None = None,
    scopes: bool | None = None,
    charges: bool | None = None,
) -> ModelCatalog:
    """As workers and commands see the endpoint; its prices count from the first priced model."""
    priced = any(model.is_priced for model in models)
    optional = {"max_call_seconds": max_call_seconds, "scopes": scopes, "charges": charges}
    given: dict[str, Any] = {name: value for name, value in optional.items() if value is not None}
    return ModelCatalog(
        models=models,
        default_model=default_model,
        priced=priced,
        plans_by_model=True,
        plans_with_room=True,
        **given,
    )


def model_price(line: Any) -> ModelPrice | None:
    """One line of that list, which is also what `GET /models/{id}` answers. Of another shape than
    our gateway's, only the name."""
    if not isinstance(line, Mapping) or not isinstance(line.get("id"), str):
        return None
    pricing = line.get("pricing")
    prices = pricing if isinstance(pricing, Mapping) else {}
    upstream = line.get("upstream")
    planning = line.get("planning", "narrow" if line["id"] == BUNDLED_MODEL else None)
    return ModelPrice(
        model=line["id"][:200],
        input_usd=decimal_of(prices.get("input_usd_per_million")),
        output_usd=decimal_of(prices.get("output_usd_per_million")),
        context_tokens=_tokens(line.get("context_tokens")),
        max_output_tokens=_tokens(line.get("max_output_tokens")),
        **{"upstream": upstream[:60]} if isinstance(upstream, str) else {},
        **_further_prices(prices),
        **{"planning": "narrow"} if planning == "narrow" else {},
        **{"tools": "none"} if _tools(line) == "none" else {},
        **{"kind": "embedding"} if line.get("kind") == "embedding" else {},
    )


def _tools(line: Mapping[str, Any]) -> Any:
    dialect = line.get("dialect")
    told = dialect.get("tools") if isinstance(dialect, Mapping) else None
    return told or ("none" if line["id"] == BUNDLED_MODEL else None)


def _tokens(value: Any) -> int | None:
    """A number of tokens, or None where the endpoint does not say."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


INPUTS = ("input", "cached_input", "cache_write")
OUTPUTS = ("output", "reasoning", "output_audio", "output_image")
"""The kinds of tokens that a text can be billed as, and an answer."""


def _further_prices(prices: Mapping[str, Any]) -> dict[str, Any]:
    """What a price has beyond two plain ones: nothing, for most models. Of prices that change with
    the hour or from a day on, the highest one counts: a run can last until then."""
    plain = tuple(decimal_of(prices.get(f"{kind}_usd_per_million")) for kind in ("input", "output"))
    if None in plain:
        return {}
    cards = [prices, *_objects(prices.get("periods"))]
    tiers = [tier for card in cards for tier in _objects(card.get("tiers"))]
    found: dict[str, Any] = {
        "dearest_input_usd": max(_highest(card, INPUTS) for card in cards),
        "dearest_output_usd": max(_highest(card, OUTPUTS) for card in cards),
        "request_usd": max(decimal_of(each.get("usd_per_request")) or 0 for each in cards + tiers),
        "cached_input_usd": decimal_of(prices.get("cached_input_usd_per_million")),
        "tiers": tuple(
            PromptTier(
                above_tokens=count_of(tier.get("above_prompt_tokens")),
                input_usd=_highest(tier, INPUTS),
                output_usd=_highest(tier, OUTPUTS),
            )
            for tier in tiers[:MAX_TIERS]
        ),
    }
    as_plain = {"dearest_input_usd": plain[0], "dearest_output_usd": plain[1]}
    return {name: value for name, value in found.items() if value and value != as_plain.get(name)}


def _highest(card: Mapping[str, Any], kinds: tuple[str, ...]) -> Decimal:
    told = (decimal_of(card.get(f"{kind}_usd_per_million")) for kind in kinds)
    return max((each for each in told if each is not None), default=Decimal(0))


def _objects(value: Any) -> list[Mapping[str, Any]]:
    found = value if isinstance(value, list) else []
    return [each for each in found if isinstance(each, Mapping)]


def declared_capabilities(told: Any) -> Capabilities:
    """As the endpoint declares them; by default, what ATXP's published API guarantees."""
    if not isinstance(told, Mapping):
        return Capabilities(hard_limit=True)
    return Capabilities(**{name: told.get(name) is True for name in Capabilities.model_fields})
