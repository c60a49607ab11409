"""The gateway's list of models, asked over HTTP: prices, context windows, promises."""

import json
import urllib.error
import urllib.request
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from contracts.spend import Capabilities, ModelCatalog, ModelPrice

TIMEOUT_SECONDS = 4
MAX_BYTES = 5_000_000


class CatalogUnavailable(Exception):
    """Why there is no list of models, in words."""


class Provider(NamedTuple):
    """What the endpoint says of itself."""

    catalog: ModelCatalog
    capabilities: Capabilities


def read_provider(llm_url: str, default_model: str | None) -> Provider:
    """`GET /models`. Raises `CatalogUnavailable`, also if the endpoint wants a key for it."""
    url = f"{llm_url.rstrip('/')}/models"
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer:
            body = json.loads(answer.read(MAX_BYTES), parse_float=Decimal)
    except urllib.error.HTTPError as error:
        raise CatalogUnavailable(f"{url} answered {error.code} {error.reason}") from error
    except OSError as error:
        reason = getattr(error, "reason", None) or error
        raise CatalogUnavailable(f"{url} does not answer ({reason})") from error
    except ValueError as error:
        raise CatalogUnavailable(f"{url} answered something that is not JSON") from error
    lines = body.get("data") if isinstance(body, dict) else None
    if not isinstance(lines, list):
        raise CatalogUnavailable(f"{url} answered without a list `data`")
    models = tuple(m for m in map(_model, lines) if m is not None)[:2_000]
    priced = any(m.input_usd is not None and m.output_usd is not None for m in models)
    catalog = ModelCatalog(models=models, default_model=default_model, priced=priced)
    return Provider(catalog, _capabilities(body.get("capabilities")))


def _capabilities(told: Any) -> Capabilities:
    """As the endpoint declares them. Without a word: what ATXP's published API promises."""
    if not isinstance(told, dict):
        return Capabilities(hard_limit=True)
    return Capabilities(**{name: told.get(name) is True for name in Capabilities.model_fields})


def _model(line: Any) -> ModelPrice | None:
    """Our gateway's shape; of any other, the name alone."""
    if not isinstance(line, dict) or not isinstance(line.get("id"), str):
        return None
    pricing = line.get("pricing")
    prices = pricing if isinstance(pricing, dict) else {}
    context = line.get("context_tokens")
    return ModelPrice(
        model=line["id"][:200],
        input_usd=_decimal(prices.get("input_usd_per_million")),
        output_usd=_decimal(prices.get("output_usd_per_million")),
        context_tokens=context if isinstance(context, int) and context > 0 else None,
    )


def _decimal(value: Any) -> Decimal | None:
    if value is None or isinstance(value, bool):
        return None
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None
