"""Two frameworks, and a gateway with the scripted model for each test."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from tests.frameworks.hosted_desk import HostedDesk
from tests.frameworks.scripted_model import Script
from tests.frameworks.suite_packages import NoRegistry, suite_packages
from tests.gateway.client import Api
from tests.support.gateway import running_gateway


@pytest.fixture(scope="session")
def packages() -> Path:
    try:
        return suite_packages()
    except NoRegistry as error:
        pytest.skip(f"the packages of two frameworks cannot be installed here: {error}")


@pytest_asyncio.fixture
async def desk(packages: Path, tmp_path: Path) -> AsyncIterator[HostedDesk]:
    """An agent that asks for nobody but the gateway, as is checked at the end: with a key in
    OPENAI_API_KEY, the tracing of OpenAI Agents would send every prompt to its maker."""
    script = Script()
    async with (
        script.upstream,
        running_gateway(script.upstream.url) as gateway,
        aiohttp.ClientSession() as http,
        _watched_proxy() as (proxy, asked),
    ):
        account = await Api(gateway.url, http).open(1, "desk")
        variables = {"OPENAI_API_KEY": "sk-of-somebody", "HTTPS_PROXY": proxy}
        variables["NO_PROXY"] = "127.0.0.1"
        yield HostedDesk(packages, gateway.url, account, script, tmp_path, variables)
        assert asked == []


@asynccontextmanager
async def _watched_proxy() -> AsyncIterator[tuple[str, list[bytes]]]:
    """A proxy that leads nowhere, and the first line of each request to it."""
    asked: list[bytes] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        writer.close()

    async with await asyncio.start_server(take, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked
