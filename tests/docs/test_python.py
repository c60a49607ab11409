"""Runs the README's Python example against a real server."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator

import pytest_asyncio
from temporalio.client import Client

from durable_agent_team.client.run_handle import RunHandle
from durable_agent_team.contracts.model_catalog import ModelCatalog
from tests.cli.support import serving
from tests.docs.pages import ROOT, blocks
from tests.support.fakes import FakeWorld
from tests.support.temporal import server


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client() -> AsyncIterator[Client]:
    async with server() as environment:
        yield environment.client


async def test_the_example_prints_the_answer_and_its_price(client: Client) -> None:
    [example] = blocks(ROOT / "README.md", "python")
    world = FakeWorld()
    [price] = world.catalog.models
    bundled = price.model_copy(update={"model": "smollm2-135m"})
    world.catalog = ModelCatalog(models=(bundled,), priced=True)
    address = {"TEMPORAL_ADDRESS": client.service_client.config.target_host}
    async with serving(client, world):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", example, cwd=ROOT, env={**os.environ, **address},
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0
    assert out == b"answer of brief 0.04\n"


def test_every_method_of_the_handle_is_named() -> None:
    page = (ROOT / "docs/commands.md").read_text()
    documented = page.partition("returns a handle to an existing run")[2]
    methods = [name for name, each in vars(RunHandle).items() if callable(each)]
    methods += [name for base in RunHandle.__bases__ for name in vars(base)]
    assert [name for name in methods if name[0] != "_" and f"`{name}`" not in documented] == []
