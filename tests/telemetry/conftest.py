"""One run for all tests of this room: they look at the same evidence."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.telemetry.stage import Evidence, one_run


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def evidence(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Evidence]:
    yield await one_run(Path(tmp_path_factory.mktemp("telemetry")))
