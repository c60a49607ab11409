"""The gateway's list of models: prices, context windows and guarantees."""

import asyncio
from collections.abc import Collection
from http import HTTPStatus
from typing import NamedTuple

from durable_agent_team.atxp.chat_client import ChatClient
from durable_agent_team.atxp.exceptions import MalformedAnswer, NoAnswer, ProviderRefused
from durable_agent_team.atxp.httpx_client import HttpxClient
from durable_agent_team.atxp.named_models import read_named_models
from durable_agent_team.contracts.accounts import Capabilities
from durable_agent_team.contracts.model_catalog import ModelCatalog
from durable_agent_team.contracts.provider_info import (
    catalog_of,
    declared_capabilities,
    has_charges,
    has_scopes,
    max_call_seconds,
    model_prices,
)

TIMEOUT_SECONDS = 4


class CatalogUnavailable(Exception):
    """The list of models could not be read; the text says why."""


class Provider(NamedTuple):
    """What the endpoint reports about itself."""

    catalog: ModelCatalog
    capabilities: Capabilities


def read_provider(llm_url: str, default_model: str | None, names: Collection[str] = ()) -> Provider:
    """`GET /models`, and what it says of `names` that are not in the list. Raises
    `CatalogUnavailable`, also if the endpoint wants a key for it."""
    return asyncio.run(_read_provider(llm_url, default_model, names))


async def _read_provider(
    llm_url: str, default_model: str | None, names: Collection[str]
) -> Provider:
    url = f"{llm_url.rstrip('/')}/models"
    try:
        async with HttpxClient() as http:
            client = ChatClient(http, llm_url)
            page = await client.read_models_page(None, TIMEOUT_SECONDS)
            models = model_prices(page)
            if models is None:
                raise CatalogUnavailable(f"{url} answered without a list `data`")
            catalog = catalog_of(
                models, default_model, max_call_seconds(page), has_scopes(page), has_charges(page)
            )
            if names and catalog.priced:
                catalog = await read_named_models(client, catalog, names)
    except ProviderRefused as error:
        raise CatalogUnavailable(f"{url} answered {_status_text(error.status)}") from error
    except NoAnswer as error:
        raise CatalogUnavailable(f"{url} does not answer ({error.reason})") from error
    except MalformedAnswer as error:
        what = "without a list `data`" if error.body is not None else "something that is not JSON"
        raise CatalogUnavailable(f"{url} answered {what}") from error
    return Provider(catalog, declared_capabilities(page.get("capabilities")))


def _status_text(status: int) -> str:
    """Such as `404 Not Found`."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
