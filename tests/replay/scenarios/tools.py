"""Agents with tools."""

import asyncio
from contextlib import suppress
from decimal import Decimal
from typing import Any

from temporalio import activity
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from durable_agent_team.contracts.accounts import SetBudget
from durable_agent_team.contracts.arguments_check import ArgumentsCheck, ArgumentsVerdict
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.ledger import Ledger
from durable_agent_team.contracts.run import RunState
from durable_agent_team.contracts.tool_call import ToolDemand, ToolFailure, ToolOrder, ToolResult
from tests.replay.scenarios.scenario import Handle, Scenarios, ended
from tests.support.run_reports import report_of
from tests.support.tools import ToolWorld, tool_result
from tests.support.tools import calls as tool_calls
from tests.workflows.runs import continuing, started, until
from tests.workflows.test_tool_approvals import CALL, decided_between_two_executions
from tests.workflows.test_tool_effects import once
from tests.workflows.test_turns import LOOK, bounded, clerk, looks, said_by_turn


async def turns(client: Client) -> Handle:
    """All turns of an agent with tools, in one execution."""
    return await _turns(client, events=1_000)


async def turns_taken_up(client: Client) -> Handle:
    """The last of several executions, which starts in the middle of the conversation."""
    return await _turns(client, events=24)


async def compacted_on_overflow(client: Client) -> Handle:
    """A conversation that its provider refuses as too long: old results make room, twice, and the
    turns are made again as new calls."""
    world = ToolWorld(looks(5), tool=lambda order: "x" * 2_000)
    bounded(world, 5_000)
    return await ended(client, world, {"team": clerk()})


async def tools_and_people(client: Client) -> Handle:
    """Calls of tools that are approved, approved with other arguments, and rejected; one that may
    have run, which a person skips; one whose server is away until a person tries again; and a
    hand-off that goes back to its agent."""
    away = [True]

    def tool(order: ToolOrder) -> str:
        if order.facts.name == "send":
            failure = ToolFailure(sent=True)
            raise ApplicationError("gone", failure, type=ErrorType.EFFECT_UNKNOWN)
        if order.facts.name == "look" and away:
            away.clear()
            kind = ErrorType.TOOL_UNAVAILABLE
            raise ApplicationError("away", ToolFailure(), type=kind, non_retryable=True)
        return f"{order.facts.name}: {order.arguments}"

    turn = tool_calls(("refund", {"n": 1}), ("refund", {"n": 2}), ("refund", {"n": 3}))
    world = ToolWorld(
        said_by_turn(turn, tool_calls(("send", {}), ("look", {"at": 1})), "refunded", "better"),
        tool,
    )
    refund = {"python": "shop.tools:refund", "effects": "once", "approve": "always"}
    send = {"python": "shop.tools:send", "effects": "once", "approve": "never"}
    given = clerk(LOOK, {**refund, "approval_timeout_seconds": 3_600}, send)
    given["tasks"][0]["approve"] = "after"
    async with started(client, world, {"team": given}) as handle:
        subjects = {"refund:1.1", "refund:1.2", "refund:1.3"}
        await until(handle, lambda now: {each.subject for each in now.waiting} == subjects)
        edited = {"approved": True, "arguments": '{"n": 9}', "note": "not so much"}
        await handle.execute_update("approve", {"subject": "refund:1.2", **edited})
        await handle.execute_update("approve", {"subject": "refund:1.1", "approved": True})
        no = {"kind": "approve", "subject": "refund:1.3", "approved": False, "note": "no"}
        await handle.signal("adjust", no)
        await until(handle, lambda now: len(now.waiting) == 2)
        await handle.execute_update("answer", {"task": "refund:2.1", "decision": "skip"})
        await handle.execute_update("answer", {"task": "refund:2.2", "decision": "retry"})
        for approved in (False, True):
            await until(handle, lambda now: _waits(now, "refund:handoff"))
            answer = {"subject": "refund:handoff", "approved": approved, "note": "shorter"}
            await handle.execute_update("approve", answer)
        await handle.result()
    return handle


async def tools_and_people_taken_up(client: Client) -> Handle:
    """The execution of a run that takes up a call that waits for approval and another one, which
    may have run, and in which both are answered."""

    def tool(order: ToolOrder) -> str:
        failure = ToolFailure(sent=True)
        raise ApplicationError("gone", failure, type=ErrorType.EFFECT_UNKNOWN)

    world = ToolWorld(said_by_turn(tool_calls(("refund", {"n": 1}), ("send", {})), "done"), tool)
    refund = {"python": "shop.tools:refund", "effects": "once", "approve": "always"}
    send = {"python": "shop.tools:send", "effects": "once", "approve": "never"}
    team = clerk(refund, {**send, "price_usd": "0.1"})
    async with continuing(client, world, {"team": team}, events=14) as handle:
        await until(handle, lambda now: len(now.waiting) == 2)
        for limit in range(3, 12):  # the history grows
            with suppress(RPCError, WorkflowUpdateFailedError):
                await handle.execute_update("adjust_run", {"max_parallel": limit})
        here = await client.get_workflow_handle(handle.id).describe()
        by_hand = {"task": "refund:1.2", "decision": "result", "result": "sent by hand"}
        for name, message in (
            ("answer", by_hand),
            ("approve", {"subject": "refund:1.1", "approved": False, "note": "no"}),
        ):
            await _sent(handle, name, message)
        await handle.result()
    return client.get_workflow_handle(handle.id, run_id=here.run_id)


async def asked_to_pay(client: Client) -> Handle:
    """A tool with a price of its own, whose server asks for a payment until a person has paid; and
    a required one that fails and cannot be called again."""
    asks = [ToolDemand(kind="payment", url="https://pay.example/1", amount="2 USD")]

    def tool(order: ToolOrder) -> ToolResult:
        if asks:
            failure = ToolFailure(demand=asks.pop())
            kind = ErrorType.TOOL_ASKS
            raise ApplicationError("it wants 2 USD", failure, type=kind, non_retryable=True)
        return tool_result("no connection", is_error=order.facts.name == "look")

    world = ToolWorld(said_by_turn(tool_calls(("refund", {})), tool_calls(("look", {}))), tool)
    world.price_usd = Decimal("0.1")
    refund = {"python": "shop.tools:refund", "effects": "once", "approve": "never"}
    given = clerk({**LOOK, "required": True, "max_calls": 1}, {**refund, "price_usd": "0.1"})
    async with started(client, world, {"team": given}) as handle:
        await until(handle, lambda now: _waits(now, "refund:1.1"))
        await handle.execute_update("answer", {"task": "refund:1.1", "decision": "retry"})
        await report_of(handle)
    return handle


async def decisions_at_limits(client: Client) -> Handle:
    """A time limit passes while money for a parked call is on its way, and another one while edited
    arguments are being checked. A call that was rejected is none of the one that there may be."""
    world = Slow(
        said_by_turn(tool_calls(("refund", {"n": 1})), tool_calls(("refund", {"n": 2})), "ok")
    )
    refund = {"python": "shop.tools:refund", "effects": "once", "approve": "always"}
    one = {**refund, "approval_timeout_seconds": 2, "required": True, "max_calls": 1}
    given = clerk(one, budget_usd="0.005", park_timeout_seconds=2)
    async with started(client, world, {"team": given}) as handle:
        await until(handle, lambda now: _waits(now, "refund"))
        money = {"kind": "adjust_budget", "agent": "clerk", "budget_usd": "1"}
        await _at_the_limit(handle, world, money)
        await until(handle, lambda now: _waits(now, "refund:1.1"))
        no = {"subject": "refund:1.1", "approved": False, "note": "half of it"}
        await handle.execute_update("approve", no)
        await until(handle, lambda now: _waits(now, "refund:2.1"))
        edit = {"subject": "refund:2.1", "approved": True, "arguments": {"n": 3}}
        await _at_the_limit(handle, world, {"kind": "approve", **edit})
        await handle.result()
    return handle


async def two_amounts(client: Client) -> Handle:
    """A call below the limit of its approval, with another amount in another spelling."""
    refund = {
        "python": "shop.tools:refund",
        "approve": "above_usd",
        "above_usd": 9,
        "trusted": True,
    }
    given = clerk({**refund, "effects": "once", "amount": "usd"})
    world = ToolWorld(once(("refund", {"usd": 1, "USD": 900})))
    async with started(client, world, {"team": given}) as handle:
        await until(handle, lambda now: _waits(now, "refund:1.1"))
        await handle.execute_update("approve", {"subject": "refund:1.1", "approved": True})
        await handle.result()
    return handle


async def decided_between(client: Client) -> Handle:
    """The second execution of a run, before which a time limit has passed and a decision came."""
    return await decided_between_two_executions(client, ToolWorld(once(CALL)))


class Slow(ToolWorld):
    """Sets limits and checks arguments when it is let."""

    lets = asyncio.Event()

    @activity.defn
    async def set_budget(self, request: SetBudget) -> Ledger:
        await self.lets.wait()
        return await super().set_budget(request)

    @activity.defn
    async def check_arguments(self, check: ArgumentsCheck) -> ArgumentsVerdict:
        await self.lets.wait()
        return await super().check_arguments(check)


async def _at_the_limit(handle: Handle, world: Slow, message: dict[str, Any]) -> None:
    """It has come before the limit of the one that waits, and takes longer."""
    world.lets.clear()
    await handle.signal("adjust", message)
    await asyncio.sleep(2.5)
    world.lets.set()


async def _turns(client: Client, events: int) -> Handle:
    """An agent with tools: parallel calls, a repaired answer, a worker that has forgotten, and a
    tool with an effect."""
    world = ToolWorld(
        said_by_turn(
            tool_calls(("look", {"at": 1}), ("look", {"at": 2}), ("look", {"at": 1})),
            tool_calls(("refund", {"order": "7"})),
            tool_calls(("no_such_tool", {})),
            tool_calls(("look", {"at": 3})),
            "refunded",
        ),
        forgets=lambda call: call.conversation is not None and call.conversation.turn == 3,
    )
    refund = {"python": "shop.tools:refund", "effects": "once", "approve": "never"}
    async with continuing(client, world, {"team": clerk(LOOK, refund)}, events=events) as handle:
        await handle.result()
    return client.get_workflow_handle(handle.id)


def _waits(now: RunState, subject: str) -> bool:
    return any(waiting.subject == subject for waiting in now.waiting)


async def _sent(handle: Handle, name: str, message: dict[str, Any]) -> None:
    """Also where the run is just about to continue as new."""
    while True:
        try:
            await handle.execute_update(name, message)
        except (RPCError, WorkflowUpdateFailedError):
            await asyncio.sleep(0.1)
        else:
            return


SCENARIOS: Scenarios = {
    "turns": turns,
    "turns_taken_up": turns_taken_up,
    "compacted_on_overflow": compacted_on_overflow,
    "tools_and_people": tools_and_people,
    "tools_and_people_taken_up": tools_and_people_taken_up,
    "decisions_at_limits": decisions_at_limits,
    "decided_between_two_executions": decided_between,
    "asked_to_pay": asked_to_pay,
    "two_amounts": two_amounts,
}
