"""One real Temporal dev server for all workflow tests; each test has its own queue and ids."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio
from temporalio.client import Client, WorkflowHandle

from durable_agent_team.contracts.call import CallRequest
from tests.support.fakes import FakeWorld
from tests.support.temporal import server
from tests.workflows.runs import started, team


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def client() -> AsyncIterator[Client]:
    async with server() as environment:
        yield environment.client


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def skipping() -> AsyncIterator[Client]:
    """A server that skips to the next timer when nothing is in flight."""
    async with server(time_skipping=True) as environment:
        yield environment.client


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def held_run(client: Client) -> AsyncIterator[tuple[WorkflowHandle[Any, Any], FakeWorld]]:
    """A run whose second task is held, for all the wrong messages of a module."""
    gate = asyncio.Event()
    reached = asyncio.Event()

    async def hold(call: CallRequest) -> None:
        if call.task == "b":
            reached.set()
            await gate.wait()

    world = FakeWorld(hold)
    tasks = [
        {"id": "a", "agent": "research", "ask": "First."},
        {"id": "b", "agent": "research", "ask": "Second.", "depends_on": ["a"]},
    ]
    async with started(client, world, {"team": team(tasks=tasks, result="b")}) as handle:
        await reached.wait()
        yield handle, world
        gate.set()
        report = await handle.result()
        assert report.answer is not None, "wrong messages must not keep a run from completing"
