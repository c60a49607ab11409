"""One real Temporal dev server, and one gateway in front of all emulated providers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
from temporalio.client import Client

from tests.emulators.models import GATEWAY_KEYS, write_models_file
from tests.emulators.script import ANSWERS
from tests.emulators.server import Emulators, emulators
from tests.support.packages import Rooms, all_rooms
from tests.support.temporal import server


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def providers() -> AsyncIterator[Emulators]:
    async with emulators(ANSWERS) as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def rooms(
    providers: Emulators, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Rooms]:
    file = write_models_file(tmp_path_factory.mktemp("models"), providers.url)
    async with (
        _connected() as client,
        all_rooms(client, environment=GATEWAY_KEYS, gateway_models=file) as found,
    ):
        yield found


@asynccontextmanager
async def _connected() -> AsyncIterator[Client]:
    async with server() as environment:
        yield environment.client
