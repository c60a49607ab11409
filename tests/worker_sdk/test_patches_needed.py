"""What the SDK does without each patch.

When one of these fails, the SDK no longer needs the patch: delete it, and its entry in
`worker_sdk/patches.py`. The tests for queries are in `test_cold_queries.py` and
`test_waiting_queries.py`.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner
from temporalio.worker.workflow_sandbox import _runner as sandbox_runner
from temporalio.worker.workflow_sandbox._importer import Importer

from tests.support.temporal import server
from tests.worker_sdk.idle_workflow import Waits, work
from tests.worker_sdk.test_payload_visits import visit_as_the_sdk_does

WIDTH = 40


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client() -> AsyncIterator[Client]:
    async with server() as environment:
        yield environment.client


def vanilla(client: Client, runner: Any) -> Worker:
    return Worker(
        client,
        task_queue=f"vanilla-{uuid.uuid4()}",
        workflows=[Waits],
        activities=[work],
        workflow_runner=runner,
        max_concurrent_activities=WIDTH,
    )


async def complete(client: Client, worker: Worker) -> None:
    """One run, from its start to its result."""
    handle = await client.start_workflow(
        Waits.run, 0.0, id=f"waits-{uuid.uuid4()}", task_queue=worker.task_queue
    )
    for message in ("first", "second"):
        while await handle.query(Waits.look) % 2 == 0:
            await asyncio.sleep(0.02)
        await handle.signal(Waits.tell, message)
    await asyncio.wait_for(handle.result(), 20)


async def test_an_idle_run_stays_cached(client: Client) -> None:
    async with vanilla(client, UnsandboxedWorkflowRunner()) as worker:
        handle = await client.start_workflow(
            Waits.run, 0.0, id=f"waits-{uuid.uuid4()}", task_queue=worker.task_queue
        )
        while await handle.query(Waits.look) != 1:
            await asyncio.sleep(0.02)
        await asyncio.sleep(1)
        assert worker._workflow_worker is not None
        assert len(worker._workflow_worker._running_workflows) == 1
        await handle.terminate()


async def test_all_results_are_sent_at_once(client: Client) -> None:
    """The bridge gets every result while the server has not confirmed a single one."""
    async with vanilla(client, UnsandboxedWorkflowRunner()) as worker:
        bridge: Any = worker._bridge_worker
        send = bridge.complete_activity_task
        confirm, sent = asyncio.Event(), 0

        async def held(completion: Any) -> None:
            nonlocal sent
            sent += 1
            await confirm.wait()
            await send(completion)

        bridge.complete_activity_task = held
        handles = [
            await client.start_workflow(
                Waits.run, 0.0, id=f"waits-{uuid.uuid4()}", task_queue=worker.task_queue
            )
            for _ in range(WIDTH)
        ]
        async with asyncio.timeout(20):
            while sent < WIDTH:
                await asyncio.sleep(0.02)
        confirm.set()
        for handle in handles:
            await handle.terminate()


async def test_the_sandbox_is_entered_for_serialization_contexts(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered = 0
    original = sandbox_runner._Instance.get_serialization_context

    def counted(self: Any, command_info: Any) -> Any:
        nonlocal entered
        entered += 1
        return original(self, command_info)

    visit_as_the_sdk_does(monkeypatch)
    monkeypatch.setattr(sandbox_runner._Instance, "get_serialization_context", counted)
    async with vanilla(client, SandboxedWorkflowRunner()) as worker:
        await complete(client, worker)
    assert entered > 0


async def test_each_run_has_a_sandbox_of_its_own(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandboxes: list[Any] = []

    class Counted(Importer):
        def __init__(self, *args: Any, **options: Any) -> None:
            sandboxes.append(self)
            super().__init__(*args, **options)

    monkeypatch.setattr(sandbox_runner, "Importer", Counted)
    async with vanilla(client, SandboxedWorkflowRunner()) as worker:
        before = len(sandboxes)  # one to validate the workflow class
        await complete(client, worker)
        await complete(client, worker)
    assert len(sandboxes) - before >= 2
