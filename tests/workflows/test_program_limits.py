"""What stops a run from starting work holds for programs, too: deadline, pause, breaker, and an
endpoint that cannot keep their calls from being paid twice."""

import asyncio
from typing import Any

import pytest
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError

from durable_agent_team.contracts.call import CallResult
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.run import RunStatus, TaskStatus
from tests.support.fakes import COST
from tests.support.programs import ProgramWorld, Running
from tests.support.run_reports import report_of
from tests.workflows.runs import parked, result_of, started, state, team, until
from tests.workflows.test_deadline import SOON, assert_ended_by, set_deadline, until_reached
from tests.workflows.test_programs import agrees, crew

TWO_TASKS = [
    {"id": "a", "agent": "crew", "ask": "First."},
    {"id": "b", "agent": "crew", "ask": "Second.", "depends_on": ["a"]},
]


def two_tasks(**changes: Any) -> dict[str, Any]:
    return team(agents=crew(**changes)["agents"], tasks=TWO_TASKS, result="b", final="handoff")


class Held:
    """A program that makes a call, and is held before its answer."""

    def __init__(self) -> None:
        self.reached, self.open = asyncio.Event(), asyncio.Event()

    async def __call__(self, running: Running) -> str:
        answer = await running.model(f"of {running.order.call.task}")
        self.reached.set()
        await self.open.wait()
        return answer


async def test_at_the_deadline_a_program_in_flight_ends_and_none_follows(client: Client) -> None:
    script = Held()
    world = ProgramWorld(script)
    async with started(client, world, {"team": two_tasks()}) as handle:
        await script.reached.wait()
        at = await set_deadline(handle, SOON)
        await until_reached(handle)
        assert world.killed == 0, "what it has paid is of use"
        script.open.set()
        report = await report_of(handle)
    assert_ended_by(report, at)
    statuses = [each.task.status for each in report.outcomes]
    assert statuses == [TaskStatus.DONE, TaskStatus.CANCELLED]
    assert len(world.orders) == 1
    agrees(report, COST)


async def test_a_paused_run_starts_no_program_until_it_is_resumed(client: Client) -> None:
    script = Held()
    world = ProgramWorld(script)
    async with started(client, world, {"team": two_tasks()}) as handle:
        await script.reached.wait()
        await handle.signal("pause")
        script.open.set()
        now = await until(handle, lambda now: now.tasks[0].status is TaskStatus.DONE)
        assert now.paused
        assert (await state(handle)).tasks[1].status is TaskStatus.READY
        assert len(world.orders) == 1
        await handle.signal("resume")
        report = await handle.result()
    assert report.status is RunStatus.COMPLETED
    assert len(world.orders) == 2
    agrees(report, 2 * COST)


async def test_a_program_that_only_fails_is_not_started_again_for_ever(client: Client) -> None:
    good = asyncio.Event()

    async def script(running: Running) -> CallResult:
        text = await running.model(f"execution {running.order.execution}")
        return world.program_answer(text, reasons=() if good.is_set() else ("never good",))

    world = ProgramWorld(script)
    given = {**crew(breaker_failures=3), "max_repairs": 10}
    async with started(client, world, {"team": given}) as handle:
        (waiting,) = (await until(handle, parked)).waiting
        assert waiting.type == ErrorType.BREAKER_OPEN
        assert len(world.orders) == 3
        good.set()
        await handle.execute_update("retry_task", {"task": "research"})
        report = await handle.result()
    assert report.status is RunStatus.COMPLETED
    assert len(world.orders) == 4
    assert report.spend.agents[0].failed_attempts_usd == 3 * COST
    agrees(report, 4 * COST)


async def test_without_scopes_a_run_with_a_program_is_refused_before_an_account_is_opened(
    client: Client,
) -> None:
    world = ProgramWorld()
    world.catalog = world.catalog.model_copy(update={"scopes": False})
    with pytest.raises(WorkflowFailureError) as refused:
        await result_of(client, world, {"team": crew()})
    assert isinstance(refused.value.cause, ApplicationError)
    assert refused.value.cause.type == ErrorType.INVALID_INPUT
    assert "agents.crew.run: ATXP_LLM_URL has no scopes" in refused.value.cause.message
    assert (world.books, world.orders) == ({}, [])


async def test_a_remote_agent_without_a_key_needs_no_scopes(client: Client) -> None:
    world = ProgramWorld()
    world.catalog = world.catalog.model_copy(update={"scopes": False})
    report = await result_of(client, world, {"team": crew(run={"a2a": "https://a.example"})})
    assert report.status is RunStatus.COMPLETED
