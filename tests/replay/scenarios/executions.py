"""Executions of runs that continue as new, and what marks workflow tasks in them."""

import asyncio

from temporalio.client import Client

from durable_agent_team.contracts.call import CallRequest
from tests.replay.scenarios.scenario import Handle, Scenarios
from tests.support.run_reports import report_of
from tests.support.worlds import OnceEach
from tests.workflows.runs import continuing, started, until
from tests.workflows.test_continue_as_new import wide
from tests.workflows.test_task_marks import finished_one_by_one
from workflows.tasks.gate import QUEUE


async def continues(client: Client) -> Handle:
    """The first execution of a run that continues as new, with calls in flight."""
    handle = await _continued(client)
    return client.get_workflow_handle(handle.id, run_id=handle.first_execution_run_id)


async def taken_up(client: Client) -> Handle:
    """Its last execution, which starts with the state of the run."""
    handle = await _continued(client)
    return client.get_workflow_handle(handle.id)


async def drained(client: Client) -> Handle:
    """The first execution of a run that continues as new after its many calls have ended."""

    async def slow_but_one(call: CallRequest) -> None:
        await asyncio.sleep(0 if call.task == "t0" else 0.3)

    handle = await _continued(client, OnceEach(slow_but_one), tasks=14, at_once=12)
    return client.get_workflow_handle(handle.id, run_id=handle.first_execution_run_id)


async def in_line(client: Client) -> Handle:
    """More tasks than may wait for a place: the last ones start when the first have ended."""
    world = OnceEach()
    given = wide(QUEUE + 3) | {"max_parallel": 1, "max_tasks": 200}
    async with started(client, world, {"team": given}) as handle:
        await until(handle, lambda now: len(world.made) > 3)
        await handle.signal("cancel", {})
        await report_of(handle)
    return handle


async def _continued(
    client: Client, world: OnceEach | None = None, tasks: int = 4, at_once: int = 2
) -> Handle:
    world = world or OnceEach(seconds=0.05)
    payload = {"team": wide(tasks) | {"max_parallel": at_once}}
    async with continuing(client, world, payload, events=20) as handle:
        await handle.result()
    return handle


SCENARIOS: Scenarios = {
    "marked_by_timers": finished_one_by_one,
    "marked_after_continuing": taken_up,
    "continues": continues,
    "taken_up": taken_up,
    "drained": drained,
    "in_line": in_line,
}
