"""The README's Python, as it stands there, against a real run."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import Client

from contracts.spend import ModelCatalog
from tests.cli.support import serving
from tests.docs.pages import ROOT, blocks
from tests.support.fakes import FakeWorld
from tests.support.temporal import server


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client() -> AsyncIterator[Client]:
    async with server() as environment:
        yield environment.client


async def test_the_example_prints_the_answer_and_its_price(
    client: Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    [example] = blocks(ROOT / "README.md", "python")
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("TEMPORAL_ADDRESS", client.service_client.config.target_host)
    world = FakeWorld()
    [price] = world.catalog.models
    bundled = price.model_copy(update={"model": "smollm2-135m"})
    world.catalog = ModelCatalog(models=(bundled,), priced=True)
    names: dict[str, Any] = {}
    exec(compile(example, "README.md", "exec"), names)
    async with serving(client, world):
        await names["main"]()
    assert capsys.readouterr().out == "answer of answer 0.05\n"
