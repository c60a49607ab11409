"""One real Temporal dev server for all tests of the command line."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio.client import Client
from temporalio.service import RPCError

from durable_agent_team.contracts.call import CallRequest
from tests.cli.support import Starter, new_id, serving
from tests.support.fakes import FakeWorld
from tests.support.temporal import server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def client() -> AsyncIterator[Client]:
    async with server() as environment:
        yield environment.client


@pytest.fixture
def starter(client: Client, tmp_path: Path) -> Starter:
    return Starter(client.service_client.config.target_host, tmp_path)


@pytest_asyncio.fixture(loop_scope="session")
async def world(client: Client) -> AsyncIterator[FakeWorld]:
    """A worker that runs during the test; the test controls its world.

    A run that an earlier test left open would go on in it, and spend from agents of the same name.
    """
    async for left in client.list_workflows("ExecutionStatus = 'Running'"):
        with suppress(RPCError):  # it has ended meanwhile
            await client.get_workflow_handle(left.id).terminate()
    world = FakeWorld()
    async with serving(client, world):
        yield world


@pytest_asyncio.fixture(loop_scope="session")
async def held(starter: Starter, world: FakeWorld) -> AsyncIterator[str]:
    """A run whose calls are held until the test ends, except for those of a task `risks`."""
    gate, begun = asyncio.Event(), asyncio.Event()

    async def wait(call: CallRequest) -> None:
        begun.set()
        if call.task != "risks":
            await gate.wait()

    world.rule = wait
    run = new_id()
    ended = await starter("start", starter.team(), "--id", run)
    assert ended.code == 0, ended.err
    await asyncio.wait_for(begun.wait(), 60)
    yield run
    gate.set()
