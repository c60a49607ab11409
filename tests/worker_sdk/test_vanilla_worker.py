"""With every patch switched off, the worker uses the SDK as it is, and runs still complete.

`pytest --vanilla tests/workflows` runs all workflow tests that way.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest_asyncio
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Replayer
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from durable_agent_team.contracts.call import CallRequest
from durable_agent_team.contracts.names import TASK_QUEUE
from durable_agent_team.contracts.run import RunReport, RunStatus, TaskStatus
from durable_agent_team.payloads.converter import DATA_CONVERTER
from durable_agent_team.process.settings import WorkerSettings
from tests.support.fakes import COST, FakeWorld
from tests.support.run_reports import report_of
from tests.support.temporal import server
from tests.workflows.runs import start_on, team
from worker import build_worker, workflow_runner
from workflows.orchestrator import Orchestrator

VANILLA = WorkerSettings.model_construct(
    workflow_sandbox=True, graceful_shutdown_seconds=1, sdk_patches=frozenset()
)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client() -> AsyncIterator[Client]:
    async with server() as environment:
        yield environment.client


@asynccontextmanager
async def started(
    client: Client, world: FakeWorld, **changes: Any
) -> AsyncIterator[WorkflowHandle[Any, RunReport]]:
    async with build_worker(client, VANILLA, world.activities):
        yield await start_on(client, TASK_QUEUE, {"team": team(**changes)})


async def test_it_uses_the_sdks_runner_and_bridge_as_they_are(client: Client) -> None:
    async with build_worker(client, VANILLA, FakeWorld().activities) as worker:
        assert type(worker.config()["workflow_runner"]) is SandboxedWorkflowRunner
        assert "complete_activity_task" not in vars(worker._bridge_worker), "it is wrapped"


async def test_a_run_completes_and_its_history_replays(client: Client) -> None:
    async with started(client, FakeWorld()) as handle:
        report = await handle.result()
    assert [each.task.status for each in report.outcomes] == [TaskStatus.DONE] * 3
    assert report.spend.total.spent_usd == 4 * COST == report.spend.ledger_usd
    replayer = Replayer(
        workflows=[Orchestrator],
        workflow_runner=workflow_runner(VANILLA),
        data_converter=DATA_CONVERTER,
    )
    await replayer.replay_workflow(await handle.fetch_history())


async def test_queries_signals_and_updates_are_handled(client: Client) -> None:
    gate, reached = asyncio.Event(), asyncio.Event()

    async def hold(call: CallRequest) -> None:
        if call.task == "a":
            reached.set()
            await gate.wait()

    async with started(client, FakeWorld(hold)) as handle:
        await reached.wait()
        state = await handle.query("state")
        assert {each["id"] for each in state["tasks"]} >= {"a", "b", "c"}
        await handle.signal("pause")
        await handle.execute_update("adjust_budget", {"agent": "research", "budget_usd": 2})
        gate.set()
        await handle.signal("resume")
        report = await handle.result()
    assert report.status is RunStatus.COMPLETED


async def test_a_cancelled_run_ends_with_its_report(client: Client) -> None:
    reached = asyncio.Event()

    async def hold(call: CallRequest) -> None:
        reached.set()
        await asyncio.Event().wait()

    async with started(client, FakeWorld(hold)) as handle:
        await reached.wait()
        await handle.signal("cancel")
        report = await report_of(handle)
    assert report.status is RunStatus.CANCELLED
