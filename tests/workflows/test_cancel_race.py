"""A cancellation that arrives together with the end of the activity that it should stop."""

import asyncio
import uuid
from datetime import timedelta
from typing import Any

import pytest
from temporalio import activity
from temporalio.api.enums.v1 import EventType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import PollWorkflowTaskQueueRequest
from temporalio.client import Client, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from durable_agent_team.contracts.model_catalog import ModelCatalog, ReadModels
from durable_agent_team.contracts.run import RunStatus
from tests.support.fakes import FakeWorld
from tests.support.run_reports import report_of
from tests.support.sandbox import run_worker
from tests.workflows.runs import start_on, team


def workflow_worker(client: Client, queue: str, world: FakeWorld) -> Worker:
    """Runs workflow code and local activities, but no activities from the server."""
    return run_worker(client, queue, [world.read_models], no_remote_activities=True)


def activity_worker(client: Client, queue: str, activities: list[Any]) -> Worker:
    """Runs these activities, and no workflow code."""
    return Worker(client, task_queue=queue, activities=activities)


async def until_scheduled(handle: WorkflowHandle[Any, Any], step: str) -> None:
    while True:
        found = await handle.describe()
        if any(
            each.activity_type.name == step for each in found.raw_description.pending_activities
        ):
            return
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("native", [False, True])
async def test_it_is_not_swallowed(client: Client, native: bool) -> None:
    """Accounts are opened and the run is cancelled while no workflow worker runs, so that it gets
    both at once. The accounts are closed, even where it was their opening that was cancelled.
    """
    world, queue = FakeWorld(), f"orchestrator-{uuid.uuid4()}"
    # A local activity cannot end without its workflow worker, so this needs a regular one.
    world.catalog = world.catalog.model_copy(update={"accounts_locally": False})
    handle = await start_on(client, queue, {"team": team()})
    async with workflow_worker(client, queue, world):
        await until_scheduled(handle, "open_accounts")
    if native:
        await handle.cancel()
    else:
        await handle.signal("cancel", {"reason": "enough"})
    async with activity_worker(client, queue, world.activities):
        while (await handle.describe()).raw_description.pending_activities:
            await asyncio.sleep(0.05)
        async with workflow_worker(client, queue, world):
            report = await report_of(handle, 30)
    assert report.status is RunStatus.CANCELLED
    assert world.calls == [], "nothing is paid for in a run that was cancelled"
    assert all(book.status == "disabled" for book in world.books.values())


async def cancelled_after_a_lost_task(
    client: Client, world: FakeWorld, *, native: bool = False
) -> WorkflowHandle[Any, Any]:
    """A run whose first worker takes its first workflow task and dies, and that is cancelled then;
    another worker has ended it."""
    queue = f"orchestrator-{uuid.uuid4()}"
    handle = await start_on(client, queue, {"team": team()}, task_timeout=timedelta(seconds=1))
    await client.workflow_service.poll_workflow_task_queue(
        PollWorkflowTaskQueueRequest(
            namespace=client.namespace, task_queue=TaskQueue(name=queue), identity="dies"
        )
    )
    while len([event async for event in handle.fetch_history_events()]) < 5:
        await asyncio.sleep(0.1)
    if native:
        await handle.cancel()
    else:
        await handle.signal("cancel", {"reason": "enough"})
    worker = run_worker(client, queue, world.activities)
    async with worker:
        await report_of(handle, 30)
    return handle


class AwayAtFirst(FakeWorld):
    """Its catalog is not read by a local activity: the gateway is away."""

    async def wanted(self, order: ReadModels) -> ModelCatalog:
        if activity.info().is_local and not self.is_back:
            raise ApplicationError("away", {"attempts": 1}, type="UpstreamUnavailable")
        return await super().wanted(order)

    is_back = False


async def cancelled_after_a_lost_later_task(
    client: Client, world: AwayAtFirst
) -> WorkflowHandle[Any, Any]:
    """As `cancelled_after_a_lost_task`, where the lost task is the one that gets the catalog, since
    the gateway was away when the run began."""
    queue = f"orchestrator-{uuid.uuid4()}"
    handle = await start_on(client, queue, {"team": team()}, task_timeout=timedelta(seconds=1))
    async with workflow_worker(client, queue, world):
        await until_scheduled(handle, "read_models")
    async with activity_worker(client, queue, world.activities):
        while (await handle.describe()).raw_description.pending_activities:
            await asyncio.sleep(0.05)
    world.is_back = True
    await client.workflow_service.poll_workflow_task_queue(
        PollWorkflowTaskQueueRequest(
            namespace=client.namespace, task_queue=TaskQueue(name=queue), identity="dies"
        )
    )
    lost = EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT
    while lost not in [event.event_type async for event in handle.fetch_history_events()]:
        await asyncio.sleep(0.1)
    await handle.signal("cancel", {"reason": "enough"})
    async with run_worker(client, queue, world.activities):
        await report_of(handle, 30)
    return handle


async def test_accounts_that_only_a_worker_knows_that_died_later_are_closed(
    client: Client,
) -> None:
    world = AwayAtFirst()
    handle = await cancelled_after_a_lost_later_task(client, world)
    report = await report_of(handle, 30)
    assert report.status is RunStatus.CANCELLED
    assert world.books, "opened once more, with the run's key"
    assert all(book.status == "disabled" for book in world.books.values())


@pytest.mark.parametrize("native", [False, True])
async def test_accounts_that_only_a_dead_worker_knows_are_closed(
    client: Client, native: bool
) -> None:
    """It opened them by a local activity, and died before its workflow task was complete."""
    world = FakeWorld()
    handle = await cancelled_after_a_lost_task(client, world, native=native)
    report = await report_of(handle, 30)
    assert report.status is RunStatus.CANCELLED
    assert world.calls == []
    assert world.books, "opened once more, with the run's key"
    assert all(book.status == "disabled" for book in world.books.values())
