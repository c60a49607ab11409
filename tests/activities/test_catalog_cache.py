"""The list of models is read once for the runs of a moment, and never longer kept than that."""

import asyncio

import pytest

from activities import catalog_cache
from activities.catalog_cache import CatalogCache
from durable_agent_team.contracts.model_catalog import ModelCatalog


class Endpoint:
    """A catalog whose default model is the number of the request."""

    def __init__(self) -> None:
        self.reads = 0
        self.failing = False

    async def read(self) -> ModelCatalog:
        self.reads += 1
        await asyncio.sleep(0.01)
        if self.failing:
            raise RuntimeError("no list")
        return ModelCatalog(default_model=f"m{self.reads}")


async def test_those_that_come_meanwhile_share_one_request() -> None:
    endpoint = Endpoint()
    cache = CatalogCache(endpoint.read)
    found = await asyncio.gather(*(cache.catalog() for _ in range(50)))
    assert {catalog.default_model for catalog in found} == {"m1"}
    assert (await cache.catalog()).default_model == "m1"
    assert endpoint.reads == 1


async def test_a_new_list_is_seen_after_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert catalog_cache.FRESH_SECONDS <= 5
    monkeypatch.setattr(catalog_cache, "FRESH_SECONDS", 0.05)
    cache = CatalogCache(Endpoint().read)
    assert (await cache.catalog()).default_model == "m1"
    await asyncio.sleep(0.06)
    assert (await cache.catalog()).default_model == "m2"


async def test_a_failure_reaches_all_that_waited_and_is_not_kept() -> None:
    endpoint = Endpoint()
    endpoint.failing = True
    cache = CatalogCache(endpoint.read)
    failed = await asyncio.gather(*(cache.catalog() for _ in range(5)), return_exceptions=True)
    assert {type(each) for each in failed} == {RuntimeError}
    endpoint.failing = False
    assert (await cache.catalog()).default_model == "m2"


async def test_a_cancelled_activity_leaves_the_answer_to_the_others() -> None:
    endpoint = Endpoint()
    cache = CatalogCache(endpoint.read)
    first = asyncio.create_task(cache.catalog())
    second = asyncio.create_task(cache.catalog())
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).default_model == "m1"
    assert endpoint.reads == 1
