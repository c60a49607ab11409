"""The gauge of tasks: of all runs in a worker's memory together, and of no other."""

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import Client, WorkflowHandle

from durable_agent_team.contracts import names
from durable_agent_team.contracts.call import CallRequest
from durable_agent_team.contracts.run import RunStatus, TaskStatus
from durable_agent_team.contracts.telemetry_labels import LABELS, TEAM, UNKNOWN
from durable_agent_team.process.team_interceptor import TeamLabel, team_name
from durable_agent_team.worker_sdk import idle_eviction
from tests.process.test_worker import SETTINGS
from tests.support.fakes import FakeWorld, exhausted
from tests.support.run_reports import report_of
from tests.support.sandbox import run_worker
from tests.support.temporal import server
from tests.workflows.runs import start_on, team
from worker import build_worker
from workflows.state.open_tasks import OPEN_TASKS, STATE, OpenTasks


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client() -> AsyncIterator[Client]:
    async with server() as environment:
        yield environment.client


@pytest.fixture
def watched() -> Iterator[None]:
    OPEN_TASKS.watched = True
    yield
    OPEN_TASKS.watched = False
    for run_id in list(OPEN_TASKS._runs):
        OPEN_TASKS.forget(run_id)


class PoorWorld(FakeWorld):
    """Research has no money until somebody tops it up; keeps the teams that calls came from."""

    def __init__(self) -> None:
        super().__init__(self.poor)
        self.teams: set[str] = set()

    def poor(self, call: CallRequest) -> None:
        self.teams.add(LABELS.get({}).get(TEAM, ""))
        if call.account.agent == "research" and self.books["research"].budget <= 1:
            raise exhausted(Decimal(2), Decimal(1))


@asynccontextmanager
async def worker(client: Client, world: FakeWorld, cached: int) -> AsyncIterator[str]:
    queue = f"tasks-{uuid.uuid4()}"
    async with run_worker(
        client,
        queue,
        world.activities,
        max_cached_workflows=cached,
        interceptors=[TeamLabel(OPEN_TASKS.forget)],
    ):
        yield queue


async def start(client: Client, queue: str) -> WorkflowHandle[Any, Any]:
    return await start_on(client, queue, {"team": team()})


def counts() -> Counter[str]:
    """What is more than zero."""
    return +Counter({known[STATE]: count for known, count in OPEN_TASKS.totals()})


async def until(expected: dict[str, int]) -> None:
    for _ in range(600):
        if counts() == expected:
            return
        await asyncio.sleep(0.05)
    assert counts() == expected


@pytest.mark.usefixtures("watched")
async def test_runs_are_added_up_until_they_end(client: Client) -> None:
    world = PoorWorld()
    async with worker(client, world, cached=10) as queue:
        runs = [await start(client, queue) for _ in range(2)]
        await until({"parked": 4, "waiting": 2})
        for run in runs:
            await run.signal(
                "adjust", {"kind": "adjust_budget", "agent": "research", "budget_usd": 5}
            )
        for run in runs:
            assert (await run.result()).status is RunStatus.COMPLETED
        await until({})
    assert world.teams == {"brief"}
    assert {known[TEAM] for known, _ in OPEN_TASKS.totals()} == {"brief"}, "zero, not silence"


@pytest.mark.usefixtures("watched")
async def test_a_run_that_left_the_memory_is_not_counted(client: Client) -> None:
    world = PoorWorld()
    async with worker(client, world, cached=1) as queue:
        first = await start(client, queue)
        await until({"parked": 2, "waiting": 1})
        second = await start(client, queue)
        while (await second.query("state"))["status"] != "parked":
            await asyncio.sleep(0.05)
        await until({"parked": 2, "waiting": 1})
        for run in (first, second):
            await run.signal("cancel", {"reason": "enough"})
            assert (await report_of(run)).status is RunStatus.CANCELLED


@pytest.mark.usefixtures("watched")
async def test_a_parked_run_that_rests_is_still_counted(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "TASK_QUEUE", f"rests-{uuid.uuid4()}")
    monkeypatch.setattr(idle_eviction, "IDLE_SECONDS", 0.3)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    world = PoorWorld()
    made = build_worker(client, SETTINGS, world.activities)
    assert made._workflow_worker is not None
    async with made:
        run = await start(client, names.TASK_QUEUE)
        await until({"parked": 2, "waiting": 1})
        async with asyncio.timeout(20):
            while made._workflow_worker._running_workflows:
                await asyncio.sleep(0.05)
        assert counts() == {"parked": 2, "waiting": 1}
        await run.signal("cancel", {"reason": "enough"})
        assert (await report_of(run)).status is RunStatus.CANCELLED
        await until({})


async def test_without_telemetry_nothing_is_kept(client: Client) -> None:
    async with worker(client, PoorWorld(), cached=10) as queue:
        run = await start(client, queue)
        await run.signal("cancel", {"reason": "enough"})
        await report_of(run)
    assert OPEN_TASKS._runs == {}


def test_ended_tasks_are_no_state_of_the_gauge() -> None:
    tasks = OpenTasks()
    tasks.watched = True
    tasks.show("r", "t", list(TaskStatus))
    shown = {known[STATE]: count for known, count in tasks.totals()}
    assert shown == {"waiting": 1, "ready": 1, "running": 1, "parked": 1}


@pytest.mark.parametrize(
    ("args", "name"),
    [
        ([{"team": {"name": "brief"}}], "brief"),
        ([{"team": {"name": 5}}], UNKNOWN),
        ([{"team": "brief"}], UNKNOWN),
        ([{}], UNKNOWN),
        (["brief"], UNKNOWN),
        ([None], UNKNOWN),
        ([], UNKNOWN),
        ([{"team": {"name": "x" * 1_000}}], "x" * 100),
    ],
)
def test_a_start_input_that_nobody_has_checked_has_a_team_or_not(args: Any, name: str) -> None:
    assert team_name(args) == name
