"""Reads what the gateway can call, as it describes it."""

import asyncio
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from durable_agent_team.atxp.chat_client import ChatClient
from durable_agent_team.atxp.exceptions import MalformedAnswer, NoAnswer, ProviderRefused
from durable_agent_team.atxp.httpx_client import HttpxClient
from durable_agent_team.cli.exit_codes import CommandError, ExitCode
from durable_agent_team.cli.provider_catalog import TIMEOUT_SECONDS, CatalogUnavailable


class CallableModel(BaseModel):
    """One line of `models --json`. An endpoint that is not our gateway has only the name."""

    model_config = ConfigDict(extra="allow", frozen=True)

    id: str
    upstream: str | None = None
    context_tokens: int | None = None
    pricing: dict[str, Any] = {}
    """USD per million tokens, by kind."""
    price_source: str = ""
    dialect: dict[str, Any] = {}
    status: str = "active"


def read_models(llm_url: str, name: str | None) -> list[CallableModel]:
    """Every model in the list, or one. Raises `CatalogUnavailable`, and `CommandError` for a name
    that the endpoint does not know, with what it says of it."""
    return asyncio.run(_read(llm_url, name))


async def _read(llm_url: str, name: str | None) -> list[CallableModel]:
    url = f"{llm_url.rstrip('/')}/models"
    try:
        async with HttpxClient() as http:
            client = ChatClient(http, llm_url)
            if name is not None:
                lines: Any = [await client.read_model(name, TIMEOUT_SECONDS)]
            else:
                lines = (await client.read_models_page(None, TIMEOUT_SECONDS)).get("data")
        return [CallableModel.model_validate(each) for each in lines]
    except ProviderRefused as error:
        if name is not None and error.status == 404:
            raise CommandError(ExitCode.INVALID_INPUT, error.message) from error
        raise CatalogUnavailable(f"{url} answered {error.status}") from error
    except NoAnswer as error:
        raise CatalogUnavailable(f"{url} does not answer ({error.reason})") from error
    except (MalformedAnswer, ValidationError, TypeError) as error:
        raise CatalogUnavailable(f"{url} answered without a list of models") from error


def is_price(value: Any) -> bool:
    """Whether a value of `pricing` is an amount."""
    return isinstance(value, int | Decimal) and not isinstance(value, bool)
