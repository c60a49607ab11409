"""Effects happen once, or a person decides: what a run does when the worker of a tool is lost."""

import asyncio
from collections.abc import Callable
from typing import Any

from temporalio import activity
from temporalio.client import Client, WorkflowHandle

from durable_agent_team.contracts.call import CallRequest
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.run import RunReport, RunState, RunStatus, TaskStatus
from durable_agent_team.contracts.tool_call import ToolOrder
from tests.support.tools import Said, ToolWorld, calls
from tests.workflows.test_life_of_a_run import started, team

REFUND = {"python": "shop:refund", "effects": "once", "approve": "never"}


def tool_team(*tools: Any, **changes: Any) -> dict[str, Any]:
    """One agent with these tools, and one task."""
    clerk = {"role": "Clerk", "budget_usd": 1, "tools": list(tools or [REFUND])}
    return team(
        agents={"clerk": clerk},
        tasks=[{"id": "work", "agent": "clerk", "ask": "Refund it."}],
        result="work",
        **changes,
    )


def once(*named: tuple[str, dict[str, Any]]) -> Callable[[CallRequest], Said]:
    """A model that makes these calls, and answers with their results."""

    def says(call: CallRequest) -> Said:
        assert call.conversation is not None
        results = [each for entry in call.conversation.entries for each in entry.results]
        return " | ".join(each.text for each in results) if results else calls(*named)

    return says


async def state_of(handle: WorkflowHandle[Any, Any]) -> RunState:
    return RunState.model_validate(await handle.query("state"))


async def waits(handle: WorkflowHandle[Any, Any], *subjects: str) -> RunState:
    """The state, once exactly these wait for a person."""
    while True:
        state = await state_of(handle)
        if {each.subject for each in state.waiting} == set(subjects):
            return state
        await asyncio.sleep(0.05)


async def answer(handle: WorkflowHandle[Any, Any], decision: str, **more: Any) -> None:
    await handle.execute_update("answer", {"task": "work:1.1", "decision": decision, **more})


def lost_after(mark: bool) -> Callable[[ToolOrder], Any]:
    """A tool whose worker is lost in the first attempt, before or after the mark."""
    attempts: list[str] = []

    async def tool(order: ToolOrder) -> str:
        attempts.append(order.key)
        if len(attempts) == 1:
            if mark:
                activity.heartbeat("sent")
            await asyncio.sleep(60)
        return f"refunded in attempt {len(attempts)}"

    return tool


async def test_what_was_never_sent_is_sent_again(client: Client) -> None:
    world = ToolWorld(once(("refund", {"amount": 5})), lost_after(mark=False))
    async with started(client, world, {"team": tool_team()}) as handle:
        report: RunReport = await handle.result()
    assert report.status is RunStatus.COMPLETED
    first, second = world.orders
    assert first.key == second.key
    assert report.outcomes[0].output == "refunded in attempt 2"


async def test_what_may_have_run_parks_and_is_retried_with_the_same_key(client: Client) -> None:
    world = ToolWorld(once(("refund", {"amount": 5})), lost_after(mark=True))
    async with started(client, world, {"team": tool_team()}) as handle:
        state = await waits(handle, "work:1.1")
        assert state.status is RunStatus.PARKED
        assert state.tasks[0].status is TaskStatus.PARKED
        (waiting,) = state.waiting
        assert waiting.type == ErrorType.EFFECT_UNKNOWN
        assert waiting.command.endswith("work:1.1 retry")
        assert "shop:refund may have run" in waiting.reason
        assert len(world.orders) == 1
        await answer(handle, "retry")
        report: RunReport = await handle.result()
    first, second = world.orders
    assert first.key == second.key
    assert report.outcomes[0].output == "refunded in attempt 2"


async def test_skip_goes_on_without_a_result_and_result_with_the_persons(client: Client) -> None:
    for decision, more, expected in [
        ("skip", {}, "not known whether it had its effect"),
        ("result", {"result": "refunded by hand"}, "refunded by hand"),
    ]:
        world = ToolWorld(once(("refund", {"amount": 5})), lost_after(mark=True))
        async with started(client, world, {"team": tool_team()}) as handle:
            await waits(handle, "work:1.1")
            await answer(handle, decision, **more)
            report: RunReport = await handle.result()
        assert len(world.orders) == 1
        assert expected in (report.outcomes[0].output or "")
