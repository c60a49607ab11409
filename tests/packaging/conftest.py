"""One wheel and one environment for all tests of the folder: building them takes half a minute."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio.client import Client

from tests.packaging.environment import (
    Installation,
    build_wheel,
    empty_environment,
    write_application,
)
from tests.support.temporal import server


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """The wheel with its core dependencies."""
    folder = tmp_path_factory.mktemp("installed")
    python = empty_environment(folder / "environment")
    installation = Installation(wheel, python, write_application(folder / "application"))
    installation.install()
    return installation


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def client() -> AsyncIterator[Client]:
    async with server() as environment:
        yield environment.client
