"""The gateway's list of models, asked over HTTP: prices, context windows, promises."""

import json
import urllib.error
import urllib.request
from decimal import Decimal
from http.client import HTTPException
from typing import NamedTuple

from durable_agent_team.contracts.provider_info import (
    catalog_of,
    declared_capabilities,
    model_prices,
)
from durable_agent_team.contracts.spend import Capabilities, ModelCatalog

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
    except (OSError, HTTPException) as error:
        cause = getattr(error, "reason", None) or error
        reason = getattr(cause, "strerror", None) or cause
        raise CatalogUnavailable(f"{url} does not answer ({reason})") from error
    except ValueError as error:
        raise CatalogUnavailable(f"{url} answered something that is not JSON") from error
    models = model_prices(body)
    if models is None:
        raise CatalogUnavailable(f"{url} answered without a list `data`")
    return Provider(
        catalog_of(models, default_model), declared_capabilities(body.get("capabilities"))
    )
