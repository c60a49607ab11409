"""A workflow task that a busy machine takes long for is carried out, not failed as a deadlock."""

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest_asyncio
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from durable_agent_team.worker_sdk.patched_worker import PatchedRunner
from tests.support.temporal import server
from tests.worker_sdk.slow_workflow import TakesLong

LONG = 2.5
"""More than the SDK's two seconds."""
FAILED = EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client() -> AsyncIterator[Client]:
    async with server() as environment:
        yield environment.client


async def events(client: Client, patches: set[str]) -> list["EventType.ValueType"]:
    """What the history has when the run has ended, or its first workflow task has failed."""
    runner = PatchedRunner(UnsandboxedWorkflowRunner(), patches)
    queue = f"slow-{uuid.uuid4()}"
    worker = Worker(client, task_queue=queue, workflows=[TakesLong], workflow_runner=runner.runner)
    runner.attach(worker)
    async with worker:
        handle = await client.start_workflow(TakesLong.run, LONG, id=queue, task_queue=queue)
        async with asyncio.timeout(30):
            while True:
                kinds = [event.event_type async for event in handle.fetch_history_events()]
                if FAILED in kinds or EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED in kinds:
                    return kinds
                await asyncio.sleep(0.1)


async def test_it_may_take_longer_than_two_seconds(client: Client) -> None:
    assert FAILED not in await events(client, {"deadlock_timeout"})


async def test_the_sdk_fails_what_takes_longer_than_two_seconds(client: Client) -> None:
    assert FAILED in await events(client, set())
