"""A task with tools that is done again begins a new conversation: what a person has approved is not
approved again, and what still runs for the old one is neither repeated nor mixed up with it."""

import asyncio
from collections import Counter
from contextlib import suppress
from decimal import Decimal
from typing import Any

from temporalio import activity
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.service import RPCError

from durable_agent_team.contracts.call import CallRequest
from durable_agent_team.contracts.run import RunReport, RunStatus, TaskStatus
from durable_agent_team.contracts.spend import LedgerAgreement
from durable_agent_team.contracts.tool_call import ToolOrder, ToolResult
from tests.support.fakes import COST
from tests.support.tools import Said, ToolWorld, calls, tool_result
from tests.workflows.runs import continuing, executions, started, until
from tests.workflows.test_tool_effects import PRICED, REFUND, once, tool_team, waits
from tests.workflows.test_tools_interrupted import PRICE, Held, shown
from tests.workflows.test_turns import LOOK, clerk, said_by_turn

CALL = ("refund", {"amount": 5})


def chain(*tools: Any) -> dict[str, Any]:
    """`work`, and `more` behind it."""
    given = tool_team(*tools)
    more = {"id": "more", "agent": "clerk", "ask": "More.", "depends_on": ["work"]}
    given["tasks"].append(more)
    given["agents"]["clerk"]["budget_usd"] = 3
    return given | {"result": "more"}


async def test_an_approval_is_for_one_conversation(client: Client) -> None:
    """The same call with the same arguments asks again; rejected, it does not happen again."""
    held = {"python": "shop:held", "effects": "once", "approve": "always"}
    world = ToolWorld(lambda call: once(CALL if call.task == "work" else ("held", {}))(call))
    asks = {**REFUND, "approve": "always"}
    async with started(client, world, {"team": chain(asks, held)}) as handle:
        await waits(handle, "work:1.1")
        await handle.execute_update("approve", {"subject": "work:1.1", "approved": True})
        await waits(handle, "more:1.1")
        await handle.execute_update("retry_task", {"task": "work"})
        await waits(handle, "work:1.1")
        assert [each.facts.name for each in world.orders] == ["refund"]
        await handle.execute_update("approve", {"subject": "work:1.1", "approved": False})
        await waits(handle, "more:1.1")
        await handle.execute_update("approve", {"subject": "more:1.1", "approved": False})
        report: RunReport = await handle.result()
    assert [each.facts.name for each in world.orders] == ["refund"]
    assert report.spend.ledger_agrees is LedgerAgreement.YES


async def test_new_work_has_new_keys_and_both_are_charged(client: Client) -> None:
    """As the page on effects says: a task that is done again is new work."""
    tool = Held()

    async def of(order: ToolOrder) -> str:
        return await tool(order) if order.task == "more" else "refunded"

    world = ToolWorld(once(CALL), of)
    world.price_usd = PRICE
    async with started(client, world, {"team": chain(PRICED)}) as handle:
        await tool.reached.wait()
        await handle.execute_update("retry_task", {"task": "work"})
        while len(world.orders) < 3:
            await asyncio.sleep(0.05)
        tool.open.set()
        report: RunReport = await handle.result()
    made = Counter((each.task, each.key.rpartition(":")[2]) for each in world.orders)
    assert made == {("work", "1.1"): 2, ("more", "1.1"): 2}
    assert len({each.key for each in world.orders}) == 4
    assert report.status is RunStatus.COMPLETED
    assert report.spend.ledger_agrees is LedgerAgreement.YES
    old_one = sum(each.tools_usd for each in report.spend.agents) - 3 * PRICE
    assert old_one in (0, PRICE), "as it had been cancelled, or had ended"
    assert report.spend.total.spent_usd == report.spend.ledger_usd


async def test_an_effect_of_the_new_conversation_is_not_repeated_when_the_old_one_ends(
    client: Client,
) -> None:
    """The old call ends while the new one, of the same name, is in flight, and the run continues as
    new as soon as it may."""
    old, new = asyncio.Event(), asyncio.Event()
    reached = [asyncio.Event(), asyncio.Event(), asyncio.Event()]
    seen: list[str] = []

    async def tool(order: ToolOrder) -> str:
        if order.task != "more":
            return "refunded"
        if order.key not in seen:
            seen.append(order.key)
        number = seen.index(order.key)
        reached[number].set()
        lets_go = (old, new)[min(number, 1)]
        while not lets_go.is_set():
            activity.heartbeat("sent")
            with suppress(asyncio.CancelledError, TimeoutError):  # it runs to its end
                await asyncio.wait_for(lets_go.wait(), 0.1)
        return f"refunded {number}"

    world = ToolWorld(once(CALL), tool)
    async with continuing(client, world, {"team": chain(REFUND)}, events=30) as handle:
        await reached[0].wait()
        await handle.execute_update("retry_task", {"task": "work"})
        await reached[1].wait()
        old.set()
        for limit in range(3, 40):  # the history grows
            with suppress(RPCError, WorkflowUpdateFailedError):
                await handle.execute_update("adjust_run", {"max_parallel": limit})
        assert len(await shown(handle, "more")) == 1
        new.set()
        report: RunReport = await handle.result()
        assert await executions(client, handle) > 1
    repeated = {
        key: count for key, count in Counter(o.key for o in world.orders).items() if count > 1
    }
    assert repeated == {}
    assert report.outcomes[1].output == "refunded 1"


async def test_a_required_tool_that_is_used_up_fails_the_task_before_it_can_answer(
    client: Client,
) -> None:
    """Where `max_calls` are used up, and where the same call was made too often."""
    failing = {**LOOK, "required": True}
    for tool, turns in (({**failing, "max_calls": 2}, 2), (failing, 4)):

        def says(call: CallRequest, tool: Any = tool) -> Said:
            assert call.conversation is not None
            number = call.conversation.turn if "max_calls" in tool else 1
            return calls(("look", {"at": number})) if call.conversation.turn <= 4 else "looked"

        world = ToolWorld(says, tool=lambda order: _error())
        async with started(client, world, {"team": clerk(tool, on_failed_check="park")}) as handle:
            state = await until(handle, lambda now: bool(now.waiting))
            assert "look is required, and no call of it has succeeded" in state.waiting[0].reason
            assert len(world.wholes) == turns
            assert state.tasks[0].status is TaskStatus.PARKED
            world.tool = lambda order: "seen"
            world.says = said_by_turn(calls(("look", {"at": 1})), "looked")
            await handle.execute_update("retry_task", {"task": "refund"})
            report: RunReport = await handle.result()
        assert report.answer == "looked"
        assert report.spend.total.spent_usd == (turns + 2) * COST


def _error() -> ToolResult:
    return tool_result("no connection", is_error=True)


async def test_another_model_in_the_middle_goes_on_in_the_same_conversation(client: Client) -> None:
    """One that knows no tools, while a tool with an effect is in flight."""
    tool = Held()
    world = ToolWorld(said_by_turn(calls(CALL), calls(("refund", {"amount": 6})), "done"), tool)
    price = world.catalog.models[0]
    small = price.model_copy(update={"model": "small", "tools": "none"})
    world.catalog = world.catalog.model_copy(update={"models": (price, small)})
    async with started(client, world, {"team": tool_team()}) as handle:
        await tool.reached.wait()
        change = {"agent": "clerk", "model": "small", "max_tokens": 300}
        await handle.execute_update("adjust_agent", change)
        tool.open.set()
        report: RunReport = await handle.result()
    assert report.answer is not None
    asked = [(each.model, each.max_tokens) for each in world.wholes]
    assert asked[1:] == [("small", 300)] * 2
    assert [each.conversation.native for each in world.wholes if each.conversation] == [
        True,
        False,
        False,
    ]
    assert [each.key.rpartition(":")[2] for each in world.orders] == ["1.1", "2.1"]
    assert len({each.conversation.id for each in world.wholes if each.conversation}) == 1
    assert report.spend.total.spent_usd == report.spend.ledger_usd
    assert Decimal(0) < report.spend.total.spent_usd
