"""Whose time a conversation with tools takes: an agent's `timeout_seconds` is that of one attempt
of one turn. Neither its tools nor a person who is waited for take any of it."""

import asyncio
from typing import Any

from temporalio import activity
from temporalio.client import Client

from durable_agent_team.contracts.call import CallRequest, CallResult
from durable_agent_team.contracts.run import RunReport, RunStatus
from durable_agent_team.contracts.tool_call import ToolOrder
from tests.support.fakes import COST
from tests.support.tools import ToolWorld
from tests.workflows.runs import result_of
from tests.workflows.test_tool_effects import REFUND, once, tool_team

DAY = 86_400
CALL = ("refund", {"amount": 5})


def timed(seconds: float, tool: dict[str, Any], **settings: Any) -> dict[str, Any]:
    """The agent has so many seconds for a turn."""
    made = tool_team(tool)
    made["agents"]["clerk"] |= {"timeout_seconds": seconds, **settings}
    return {"team": made}


def same_calls_paid_once(world: ToolWorld, report: RunReport) -> None:
    """Two turns and one call of the tool, whatever time they took."""
    assert report.status is RunStatus.COMPLETED
    assert len({call.idempotency_key for call in world.wholes}) == 2
    assert len(world.orders) == 1
    clerk = next(each for each in report.spend.agents if each.agent == "clerk")
    assert clerk.spent_usd == 2 * COST


async def test_waiting_for_a_person_takes_none_of_it(skipping: Client) -> None:
    asks = {**REFUND, "approve": "always", "on_approval_timeout": "approve"}
    world = ToolWorld(once(CALL))
    given = timed(5, {**asks, "approval_timeout_seconds": DAY})
    report = await result_of(skipping, world, given)
    same_calls_paid_once(world, report)
    assert (report.ended_at - report.started_at).total_seconds() >= DAY


async def test_a_tool_may_take_longer_than_its_agent(client: Client) -> None:
    async def slow(order: ToolOrder) -> str:
        for _ in range(12):
            activity.heartbeat()
            await asyncio.sleep(0.1)
        return "refunded"

    world = ToolWorld(once(CALL), slow)
    report = await result_of(client, world, timed(0.8, REFUND))
    same_calls_paid_once(world, report)
    assert report.outcomes[0].output == "refunded"


async def test_a_turn_that_is_out_of_time_is_attempted_again_and_no_tool_is(
    client: Client,
) -> None:
    """Between the tool's result and the next turn's answer."""
    world, late = ToolWorld(once(CALL)), list[CallRequest]()

    async def slow_once(call: CallRequest) -> CallResult | None:
        turn = call.conversation.turn if call.conversation is not None else 0
        if turn == 2 and not late:
            late.append(call)
            await asyncio.sleep(60)
        return world._turn(call)

    world.rule = slow_once
    retry = {"initial_seconds": 0.01, "max_attempts": 3}
    report = await result_of(client, world, timed(0.8, REFUND, retry=retry))
    same_calls_paid_once(world, report)
    assert late[0].idempotency_key == world.wholes[-1].idempotency_key
