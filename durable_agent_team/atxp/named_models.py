"""The models that a team names, from an endpoint that may know thousands."""

import asyncio
from collections.abc import Iterable

from durable_agent_team.atxp.chat_client import ChatClient
from durable_agent_team.atxp.exceptions import MalformedAnswer, ProviderRefused, error_fields
from durable_agent_team.contracts.model_catalog import ModelCatalog, ModelPrice, UnavailableModel
from durable_agent_team.contracts.provider_info import model_price, unavailable_model

MAX_LISTED = 50
"""A catalog with more models than these is cut down to those that are named."""
AT_ONCE = 8


async def read_named_models(
    client: ChatClient, listed: ModelCatalog, names: Iterable[str]
) -> ModelCatalog:
    """The catalog with every named model that can be called, listed or not, and why others cannot.
    Raises an `AtxpError`."""
    default = listed.default_model
    wanted = dict.fromkeys([*names, *([default] if default else [])])
    known = {each.model: each for each in listed.models}
    gate = asyncio.Semaphore(AT_ONCE)

    async def look_up(name: str) -> ModelPrice | UnavailableModel:
        async with gate:
            return await _look_up(client, name)

    answers = await asyncio.gather(*(look_up(name) for name in wanted if name not in known))
    found = [each for each in answers if isinstance(each, ModelPrice)]
    missing = tuple(each for each in answers if isinstance(each, UnavailableModel))
    kept = [*listed.models, *found]
    partial = len(kept) > MAX_LISTED
    if partial:
        kept = [each for each in kept if each.model in wanted]
    changes = {"unavailable": missing} if missing else {}
    return listed.model_copy(
        update={"models": tuple(kept), **changes, **({"partial": True} if partial else {})}
    )


async def _look_up(client: ChatClient, name: str) -> ModelPrice | UnavailableModel:
    try:
        found = model_price(await client.read_model(name))
    except ProviderRefused as refused:
        return unavailable_model(name, error_fields(refused.body))
    except MalformedAnswer:  # an endpoint that has no such request
        return UnavailableModel(model=name[:200])
    if found is None:
        return UnavailableModel(model=name[:200])
    return found.model_copy(update={"model": name})
