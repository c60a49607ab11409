"""Runs for the tests of workflows: teams, how a run is started on a worker, and what it answers."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError

from durable_agent_team.client.run_executions import read_executions
from durable_agent_team.contracts.call import CallRequest
from durable_agent_team.contracts.names import WORKFLOW
from durable_agent_team.contracts.run import RunReport, RunState
from durable_agent_team.contracts.spend import SpendReport
from tests.support.fakes import FakeWorld
from tests.support.temporal import running_worker
from workflows.continuation import EVENTS_MEMO

Handle = WorkflowHandle[Any, Any]
GOAL = "Decide whether to enter the European e-bike market"
CENT_AND_A_HALF = "0.015"
CHAIN = [
    {"id": "a", "agent": "research", "ask": "First."},
    {"id": "b", "agent": "research", "ask": "Second.", "depends_on": ["a"]},
    {"id": "c", "agent": "editor", "ask": "Third.", "depends_on": ["b"]},
]


def team(**changes: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "name": "brief",
        "goal": GOAL,
        "orchestrator": {"budget_usd": 5},
        "agents": {
            "research": {"role": "Researcher", "budget_usd": 1},
            "editor": {"role": "Editor", "budget_usd": 1},
        },
        "tasks": [
            {"id": "a", "agent": "research", "ask": "List the facts."},
            {"id": "b", "agent": "research", "ask": "List the prices."},
            {"id": "c", "agent": "editor", "ask": "Write it up.", "depends_on": ["a", "b"]},
        ],
        "result": "c",
    }
    return {**base, **changes}


def failing(base: dict[str, Any]) -> dict[str, Any]:
    """The same team, whose agents fail a task where the default is to park it."""
    agents = {name: {**each, "on_failure": "fail"} for name, each in base["agents"].items()}
    return {**base, "agents": agents}


def two_tasks(research: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Two calls of `research`, which can pay one; the editor's call depends on the second."""
    agents = {
        "research": {"role": "R", "budget_usd": CENT_AND_A_HALF, **research},
        "editor": {"role": "E", "budget_usd": 1},
    }
    tasks = [
        {"id": "a", "agent": "research", "ask": "One."},
        {"id": "b", "agent": "research", "ask": "Two.", "depends_on": ["a"]},
        {"id": "c", "agent": "editor", "ask": "Three.", "depends_on": ["b"]},
    ]
    return team(agents=agents, tasks=tasks, **changes)


class Gate:
    """Holds the calls of one task until the test releases them."""

    def __init__(self, task: str) -> None:
        self.task = task
        self.reached = asyncio.Event()
        self.open = asyncio.Event()

    async def __call__(self, call: CallRequest) -> None:
        if call.task == self.task:
            self.reached.set()
            await self.open.wait()


async def start_on(client: Client, queue: str, payload: Any, **options: Any) -> Handle:
    """Starts a run on a task queue whose workers are the test's own business."""
    return await client.start_workflow(
        WORKFLOW,
        payload,
        id=f"run-{uuid.uuid4()}",
        task_queue=queue,
        result_type=RunReport,
        **options,
    )


@asynccontextmanager
async def started(
    client: Client, world: FakeWorld, payload: Any, **options: Any
) -> AsyncIterator[Handle]:
    """A run, with a worker until the block ends."""
    async with running_worker(client, world.activities) as queue:
        yield await start_on(client, queue, payload, **options)


@asynccontextmanager
async def continuing(
    client: Client, world: FakeWorld, payload: Any, *, events: int
) -> AsyncIterator[Handle]:
    """A run that continues as new after this many events of each execution."""
    async with running_worker(client, world.activities) as queue:
        yield await start_on(client, queue, payload, memo={EVENTS_MEMO: events})


async def executions(client: Client, handle: Handle) -> int:
    """How many executions of the workflow the run had."""
    return len(await read_executions(client, handle.id))


async def result_of(client: Client, world: FakeWorld, payload: Any) -> RunReport:
    async with started(client, world, payload) as handle:
        report = await handle.result()
        assert isinstance(report, RunReport)
        return report


async def failure_of(client: Client, world: FakeWorld, payload: Any) -> ApplicationError:
    async with started(client, world, payload) as handle:
        with pytest.raises(WorkflowFailureError) as caught:
            await handle.result()
    assert isinstance(caught.value.cause, ApplicationError)
    return caught.value.cause


async def state(handle: Handle) -> RunState:
    return RunState.model_validate(await handle.query("state"))


async def spend(handle: Handle) -> SpendReport:
    return SpendReport.model_validate(await handle.query("spend"))


async def until(handle: Handle, seen: Callable[[RunState], bool]) -> RunState:
    """The first state in which `seen` is true."""
    async with asyncio.timeout(60):
        while not seen(now := await state(handle)):
            await asyncio.sleep(0.03)
    return now


def parked(now: RunState) -> bool:
    return bool(now.waiting)
