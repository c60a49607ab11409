"""One real Temporal dev server for all workflow tests; each test has its own queue and ids."""

from collections.abc import AsyncIterator

import pytest_asyncio
from temporalio.client import Client

from tests.support.temporal import server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def client() -> AsyncIterator[Client]:
    async with server() as environment:
        yield environment.client
