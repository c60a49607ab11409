"""A run that waits for a person leaves the worker's memory, and loses nothing by it."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, Worker

from durable_agent_team.worker_sdk.eviction import Eviction
from durable_agent_team.worker_sdk.idle_eviction import IdleEviction
from tests.support.temporal import server
from tests.worker_sdk.idle_workflow import Waits, work

SECONDS = 0.3
LONG = 3 * SECONDS


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client() -> AsyncIterator[Client]:
    async with server() as environment:
        yield environment.client


class IdleWorker:
    """A worker that evicts idle runs soon, and the evictions it requested."""

    def __init__(self, client: Client, seconds: float = SECONDS) -> None:
        self.client = client
        self.calls: asyncio.Event | None = None
        """Activities end when it is set."""
        self.queue = f"resting-{uuid.uuid4()}"
        self.evicted: list[str] = []
        self._evict = Eviction()
        self.runner = IdleEviction(UnsandboxedWorkflowRunner(), self._sent, seconds)

    def _sent(self, run_id: str) -> None:
        self.evicted.append(run_id)
        self._evict(run_id)

    @activity.defn
    async def work(self, seconds: float) -> str:
        if self.calls is not None:
            await self.calls.wait()
        return await work(seconds)

    @asynccontextmanager
    async def open(self) -> AsyncIterator["IdleWorker"]:
        worker = Worker(
            self.client,
            task_queue=self.queue,
            workflows=[Waits],
            activities=[self.work],
            workflow_runner=self.runner,
        )
        self._evict.attach(worker)
        self.worker = worker
        async with worker:
            yield self

    @property
    def in_memory(self) -> int:
        assert self.worker._workflow_worker is not None
        return len(self.worker._workflow_worker._running_workflows)

    async def start(self, seconds: float = 0) -> WorkflowHandle[Waits, list[str]]:
        return await self.client.start_workflow(
            Waits.run, seconds, id=f"waits-{uuid.uuid4()}", task_queue=self.queue
        )

    async def until_evicted(self, times: int) -> None:
        async with asyncio.timeout(20):
            while len(self.evicted) < times or self.in_memory:
                await asyncio.sleep(0.05)


async def test_it_leaves_the_memory_and_comes_back_as_it_was(client: Client) -> None:
    async with IdleWorker(client).open() as room:
        runs = [await room.start() for _ in range(5)]
        await room.until_evicted(5)
        assert len(set(room.evicted)) == 5
        for run in runs:
            await run.signal(Waits.tell, "first")
        await room.until_evicted(10)
        for run in runs:
            assert await run.query(Waits.look) == 3
            await run.signal(Waits.tell, "second")
            assert await run.result() == ["done", "first", "done", "second"]
        replayer = Replayer(workflows=[Waits], workflow_runner=UnsandboxedWorkflowRunner())
        for run in runs:
            await replayer.replay_workflow(await run.fetch_history())


async def test_nothing_is_evicted_while_a_call_is_in_flight(client: Client) -> None:
    async with IdleWorker(client).open() as room:
        room.calls = asyncio.Event()
        run = await room.start()
        await asyncio.sleep(LONG)
        assert not room.evicted
        room.calls.set()
        await room.until_evicted(1)
        await run.terminate()


async def test_repeated_queries_are_answered_from_memory(client: Client) -> None:
    idle = 10 * SECONDS  # more than a busy machine takes for one query
    async with IdleWorker(client, idle).open() as room:
        run = await room.start()
        async with asyncio.timeout(20):
            while await run.query(Waits.look) != 1:
                await asyncio.sleep(0.05)
        ends = time.monotonic() + 1.5 * idle
        while time.monotonic() < ends:
            await run.query(Waits.look)
            await asyncio.sleep(0.05)
        assert not room.evicted
        await room.until_evicted(1)
        await run.terminate()


async def test_only_idle_runs_are_expected_back(client: Client) -> None:
    left: list[str] = []
    room = IdleWorker(client)
    notify = room.runner.unless_idle(left.append)
    async with room.open():
        run = await room.start()
        await room.until_evicted(1)
        notify(room.evicted[0])
        assert not left, "it rests"
        await run.signal(Waits.tell, "first")
        async with asyncio.timeout(20):
            while await run.query(Waits.look) != 3:
                await asyncio.sleep(0.05)
        notify(room.evicted[0])
        assert left == room.evicted[:1], "it was back, so that this leaving is another one"
        await run.terminate()


@pytest.mark.parametrize("seconds", [0, LONG])
async def test_a_run_that_ends_is_not_evicted_afterwards(client: Client, seconds: float) -> None:
    async with IdleWorker(client).open() as room:
        run = await room.start(seconds)
        await run.signal(Waits.tell, "first")
        await asyncio.sleep(seconds + 0.1)
        await run.signal(Waits.tell, "second")
        async with asyncio.timeout(20):
            await run.result()
        sent = len(room.evicted)
        await asyncio.sleep(LONG)
        assert len(room.evicted) == sent


async def test_a_worker_that_was_shut_down_is_asked_for_nothing(client: Client) -> None:
    problems: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, problem: problems.append(problem))
    try:
        room = IdleWorker(client)
        async with room.open():
            run = await room.start()
            async with asyncio.timeout(20):
                while await run.query(Waits.look) != 1:
                    await asyncio.sleep(0.05)
        await asyncio.sleep(LONG)
    finally:
        loop.set_exception_handler(None)
    assert room.evicted, "its timer went on"
    assert not problems
    await run.terminate()
