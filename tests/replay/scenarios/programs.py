"""Agents that are programs."""

import asyncio
from contextlib import suppress
from typing import Any

from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.service import RPCError

from durable_agent_team.contracts.effects import UnknownEffect
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.program import SPEND_SIGNAL
from durable_agent_team.contracts.run import RunState
from tests.replay.scenarios.scenario import Handle, Scenarios
from tests.support.fakes import COST
from tests.support.programs import ProgramWorld, Running, two_calls
from tests.support.run_reports import report_of
from tests.workflows.runs import continuing, parked, started, until
from tests.workflows.test_programs import crew


async def programs(client: Client) -> Handle:
    """A program that fails, runs out, gets a top-up, asks a person, and fails a check."""
    unknown = UnknownEffect(effect="send:1f", tool="send_mail", attempt=1001)

    async def script(running: Running) -> Any:
        answer = await two_calls(running)
        if running.order.execution == 2:
            raise running.error(ErrorType.PROGRAM_FAILED, "exit code 1", final=True)
        if running.order.execution == 3:
            message = "send_mail may have run"
            raise running.error(ErrorType.EFFECT_UNKNOWN, message, final=True, effect=unknown)
        if running.order.call.rejected is None:
            return world.program_answer(answer, reasons=("too short",))
        return answer

    world = ProgramWorld(script)
    async with started(client, world, {"team": crew(budget_usd="0.015")}) as handle:
        await until(handle, parked)
        await handle.execute_update("adjust_budget", {"agent": "crew", "budget_usd": "0.02"})
        await until(handle, lambda now: _waits_for(now, "ProgramFailed"))
        await handle.execute_update("retry_task", {"task": "research"})
        await until(handle, lambda now: _waits_for(now, "EffectUnknown"))
        await handle.execute_update("answer", {"task": "research", "decision": "skip"})
        await report_of(handle)
    return handle


async def program_continued(client: Client) -> Handle:
    """The last execution of a run that continued as new with a program in flight."""

    async def script(running: Running) -> str:
        await running.model("first")
        if running.order.execution == 1:
            await asyncio.Event().wait()
        return await running.model("second")

    world = ProgramWorld(script)
    async with continuing(client, world, {"team": crew()}, events=8) as handle:
        while not world.paid:
            await asyncio.sleep(0.02)
        while len(world.orders) == 1:
            with suppress(RPCError, WorkflowUpdateFailedError):
                await handle.execute_update("adjust_run", {"max_parallel": 8})
        await report_of(handle)
    return client.get_workflow_handle(handle.id)


async def program_signals(client: Client) -> Handle:
    """Programs that signal what they cost: one runs out while it runs and gets a top-up; signals
    come late, too low, and for a scope that is not known."""

    async def script(running: Running) -> str:
        answer = await two_calls(running)
        for late in (COST, 0 * COST):
            await running.signal(late)
        return answer

    world = ProgramWorld(script)
    async with started(client, world, {"team": crew(budget_usd="0.015")}) as handle:
        await until(handle, parked)
        scope = world.orders[0].scope
        await handle.signal(SPEND_SIGNAL, {"scope": scope, "spent_usd": "0.014"})
        await handle.signal(SPEND_SIGNAL, {"scope": "unknown", "spent_usd": "1"})
        await handle.execute_update("adjust_budget", {"agent": "crew", "budget_usd": "0.02"})
        await report_of(handle)
    return handle


def _waits_for(now: RunState, kind: str) -> bool:
    return any(waiting.type == kind for waiting in now.waiting)


SCENARIOS: Scenarios = {
    "programs": programs,
    "program_continued": program_continued,
    "program_signals": program_signals,
}
