"""A wide run whose calls end in one moment: no workflow task is thrown away, and none is lost."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest_asyncio
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment
from temporalio.worker import Worker

from durable_agent_team.contracts.call import CallRequest
from durable_agent_team.contracts.names import TASK_QUEUE
from durable_agent_team.process.settings import WorkerSettings
from durable_agent_team.worker_sdk.result_throttle import MAX_IN_FLIGHT, throttle_results
from tests.support.fakes import FakeWorld
from tests.support.temporal import server
from tests.workflows.runs import start_on, team
from worker import build_worker

WIDTH = 200


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client() -> AsyncIterator[Client]:
    async with server() as environment:
        yield environment.client


def serving(client: Client, world: FakeWorld) -> Worker:
    settings = WorkerSettings.model_construct(
        workflow_sandbox=True,
        max_concurrent_calls=2 * WIDTH,
        max_cached_runs=10,
        graceful_shutdown_seconds=1,
    )
    return build_worker(client, settings, world.activities)


async def test_calls_that_end_in_one_moment_throw_no_workflow_task_away(client: Client) -> None:
    all_there = asyncio.Event()

    async def together(call: CallRequest) -> None:
        if world.active == WIDTH:
            all_there.set()
        await all_there.wait()

    world = FakeWorld(together)
    tasks: list[dict[str, Any]] = [
        {"id": f"t{number}", "agent": "research", "ask": "One part."} for number in range(WIDTH)
    ]
    agents = {"research": {"role": "Researcher", "budget_usd": 10}}
    wide = team(
        tasks=tasks,
        agents=agents,
        result="t0",
        final="handoff",
        max_parallel=WIDTH,
        max_tasks=WIDTH,
    )
    async with serving(client, world):
        handle = await start_on(client, TASK_QUEUE, {"team": wide})
        report = await handle.result()
        kinds = [event.event_type async for event in handle.fetch_history_events()]
    assert report.spend.total.calls == WIDTH
    assert world.most_active == WIDTH
    assert EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED not in kinds


class Bridge:
    """The SDK's way to a server that gives no word until its gate is opened."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.sent = self.done = 0

    async def complete_activity_task(self, _: object) -> None:
        self.sent += 1
        await self.gate.wait()
        self.done += 1


async def after(seconds: float, heartbeat: timedelta | None, *, local: bool = False) -> int:
    """How many of five times too many results are on their way by then; all arrive in the end."""
    bridge = Bridge()
    worker: Any = SimpleNamespace(_bridge_worker=bridge)
    throttle_results(worker)
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, heartbeat_timeout=heartbeat, is_local=local)

    async def send() -> None:
        await bridge.complete_activity_task(None)

    sending = [asyncio.create_task(environment.run(send)) for _ in range(5 * MAX_IN_FLIGHT)]
    await asyncio.sleep(seconds)
    sent = bridge.sent
    bridge.gate.set()
    await asyncio.gather(*sending)
    assert bridge.done == 5 * MAX_IN_FLIGHT
    return sent


async def test_so_many_and_no_more_are_on_their_way() -> None:
    assert await after(1, timedelta(minutes=10)) == MAX_IN_FLIGHT


async def test_a_result_is_sent_before_its_activity_is_taken_for_lost() -> None:
    """It gives no heartbeat while it waits; a slow server must not have a healthy call repeated."""
    assert await after(1, timedelta(seconds=1)) == 5 * MAX_IN_FLIGHT


async def test_what_does_not_go_to_the_server_waits_for_nobody() -> None:
    """A local activity, such as the one that every run begins with."""
    assert await after(0.1, None, local=True) == 5 * MAX_IN_FLIGHT


async def test_without_a_heartbeat_nothing_waits_long() -> None:
    assert await after(0.3, None) == MAX_IN_FLIGHT
    assert await after(1, None) == 5 * MAX_IN_FLIGHT
