"""Reads the list of models once for all runs that start within a moment."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from durable_agent_team.contracts.model_catalog import ModelCatalog

FRESH_SECONDS: Final = 2.0
"""So soon is a new price seen. The limits do not depend on it: the provider enforces them."""


class CatalogCache:
    """One request at a time; those that come meanwhile wait for its answer. A failure is not
    kept."""

    def __init__(self, read: Callable[[], Awaitable[ModelCatalog]]) -> None:
        self._read = read
        self._reading: asyncio.Future[ModelCatalog] | None = None
        self._fresh_until = 0.0

    async def catalog(self) -> ModelCatalog:
        """Raises what reading raises."""
        now = asyncio.get_running_loop().time()
        reading = self._reading
        if reading is None or (reading.done() and not self._is_fresh(reading, now)):
            reading = self._reading = asyncio.ensure_future(self._read_now())
            reading.add_done_callback(_retrieve)
        # Shielded: an activity that is cancelled must not take the answer away from the others.
        return await asyncio.shield(reading)

    def _is_fresh(self, reading: asyncio.Future[ModelCatalog], now: float) -> bool:
        failed = reading.cancelled() or reading.exception() is not None
        return not failed and now < self._fresh_until

    async def _read_now(self) -> ModelCatalog:
        catalog = await self._read()
        self._fresh_until = asyncio.get_running_loop().time() + FRESH_SECONDS
        return catalog


def _retrieve(reading: asyncio.Future[ModelCatalog]) -> None:
    """Or else asyncio would report an error that no activity has waited for."""
    if not reading.cancelled():
        reading.exception()
