"""A run, or a task, that ends or stops while a call of a tool is in flight, parked, or waits for
approval: nothing is started after that, and what had been started is recorded and charged."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.exceptions import ApplicationError

from durable_agent_team.contracts.conversation_view import ConversationPage, ToolCallView
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.run import RunReport, RunState, RunStatus, TaskStatus
from durable_agent_team.contracts.spend import LedgerAgreement
from durable_agent_team.contracts.tool_call import ToolFailure, ToolOrder
from tests.support.fakes import COST, exhausted
from tests.support.run_reports import report_of
from tests.support.tools import Said, ToolWorld, calls
from tests.workflows.runs import started, until
from tests.workflows.test_deadline import assert_ended_by, set_deadline, until_reached
from tests.workflows.test_tool_effects import (
    PRICED,
    REFUND,
    answer,
    lost_after,
    once,
    tool_team,
    waits,
)

Handle = WorkflowHandle[Any, Any]
PRICE = Decimal("0.25")
SHORT = timedelta(seconds=0.5)
CALL = ("refund", {"amount": 5})


class Held:
    """A tool with an effect that is held until the test lets go, or its call is cancelled."""

    def __init__(self, *, heeds: bool = True) -> None:
        """`heeds` a cancellation, as a worker's activity does; else the tool runs to its end."""
        self.reached, self.open = asyncio.Event(), asyncio.Event()
        self.heeds = heeds

    async def __call__(self, order: ToolOrder) -> str:
        self.reached.set()
        while not self.open.is_set():
            activity.heartbeat("sent")
            try:
                async with asyncio.timeout(0.1):
                    await self.open.wait()
            except TimeoutError:
                continue
            except asyncio.CancelledError:
                if not self.heeds:
                    self.open.set()
                    continue
                raise ApplicationError(
                    "it may have run: the call was cancelled after it was sent",
                    ToolFailure(sent=True),
                    type=ErrorType.EFFECT_UNKNOWN,
                    non_retryable=True,
                ) from None
        return "refunded"


def priced(tool: Any, *named: tuple[str, dict[str, Any]]) -> ToolWorld:
    world = ToolWorld(once(*(named or (CALL,))), tool)
    world.price_usd = PRICE
    return world


async def shown(handle: Handle, task: str = "work") -> tuple[ToolCallView, ...]:
    """The calls of the task's conversation, as the run shows them; also after its end."""
    page = await handle.query("conversation", {"task": task}, result_type=ConversationPage)
    return tuple(call for turn in page.turns for call in turn.calls)


def tools_usd(report: RunReport) -> Decimal:
    assert report.spend.ledger_agrees is LedgerAgreement.YES
    return sum((each.tools_usd for each in report.spend.agents), Decimal(0))


async def test_a_tool_in_flight_at_the_deadline_ends_and_no_turn_follows(client: Client) -> None:
    tool = Held()
    world = priced(tool)
    async with started(client, world, {"team": tool_team(PRICED)}) as handle:
        await tool.reached.wait()
        at = await set_deadline(handle, SHORT)
        await until_reached(handle)
        tool.open.set()
        report = await report_of(handle)
        (call,) = await shown(handle)
    assert_ended_by(report, at)
    assert (call.status, call.charged_usd) == ("done", PRICE)
    assert call.result == "refunded"
    assert tools_usd(report) == PRICE
    assert len(world.wholes) == 1, "no call of a model after the deadline"
    assert report.outcomes[0].task.status is TaskStatus.CANCELLED


async def test_a_call_that_may_have_run_is_unknown_at_the_deadline(client: Client) -> None:
    """It is not repeated, and the ledger says what became of its price."""
    world = priced(lost_after(mark=True))
    async with started(client, world, {"team": tool_team(PRICED)}) as handle:
        await waits(handle, "work:1.1")
        at = await set_deadline(handle, SHORT)
        report = await report_of(handle)
        (call,) = await shown(handle)
    assert_ended_by(report, at)
    assert call.status == "unknown"
    assert len(world.orders) == 1
    assert tools_usd(report) == 0


async def test_a_call_that_waits_for_approval_is_not_made_at_the_deadline(client: Client) -> None:
    """Also where the approval's own time limit would approve it."""
    asks = {**REFUND, "approve": "always", "on_approval_timeout": "approve"}
    world = ToolWorld(once(CALL))
    async with started(client, world, {"team": tool_team(asks)}) as handle:
        await waits(handle, "work:1.1")
        at = await set_deadline(handle, SHORT)
        report = await report_of(handle)
        (call,) = await shown(handle)
    assert_ended_by(report, at)
    assert call.status == "cancelled"
    assert world.orders == []


@pytest.mark.parametrize("heeds", [True, False])
async def test_a_cancelled_run_waits_for_its_tool_and_says_how_it_ended(
    client: Client, heeds: bool
) -> None:
    tool = Held(heeds=heeds)
    world = priced(tool)
    async with started(client, world, {"team": tool_team(PRICED)}) as handle:
        await tool.reached.wait()
        await handle.signal("cancel", {"reason": "enough"})
        report = await report_of(handle)
        (call,) = await shown(handle)
    assert report.status is RunStatus.CANCELLED
    assert call.status == ("unknown" if heeds else "done")
    assert tools_usd(report) == (0 if heeds else PRICE)
    assert len(world.orders) == 1
    assert len(world.wholes) == 1


async def test_a_cancelled_task_ends_its_tool_and_the_others_go_on(client: Client) -> None:
    tool = Held()
    given = tool_team(PRICED)
    given["tasks"].append({"id": "other", "agent": "clerk", "ask": "Wait."})
    given["result"] = "other"

    def says(call: Any) -> Said:
        return once(CALL)(call) if call.task == "work" else "waited"

    world = ToolWorld(says, tool)
    world.price_usd = PRICE
    async with started(client, world, {"team": given}) as handle:
        await tool.reached.wait()
        await handle.execute_update("cancel_task", {"task": "work", "reason": "not that one"})
        report = await report_of(handle)
        (call,) = await shown(handle)
    assert report.answer is not None
    status = {each.task.id: each.task.status for each in report.outcomes}
    assert status == {"work": TaskStatus.CANCELLED, "other": TaskStatus.DONE}
    assert call.status == "unknown"
    assert tools_usd(report) == 0


async def test_a_pause_lets_the_tool_end_and_starts_nothing(client: Client) -> None:
    """Neither the next turn nor a call that a person answers meanwhile."""
    tool = Held()
    ask = {"python": "shop:ask", "effects": "once", "approve": "always"}
    world = ToolWorld(once(CALL, ("ask", {})), tool)
    async with started(client, world, {"team": tool_team(REFUND, ask)}) as handle:
        await tool.reached.wait()
        await waits(handle, "work:1.2")
        await handle.signal("pause")
        await handle.execute_update("approve", {"subject": "work:1.2", "approved": True})
        tool.open.set()
        while (await shown(handle))[0].status != "done":
            await asyncio.sleep(0.05)
        assert [each.facts.name for each in world.orders] == ["refund"]
        assert [each.status for each in await shown(handle)] == ["done", "ready"]
        await handle.signal("resume")
        await handle.result()
    assert [each.facts.name for each in world.orders] == ["refund", "ask"]


async def test_what_does_not_fit_waits_for_money_and_nothing_else_is_repeated(
    client: Client,
) -> None:
    """Three calls at 0.25 USD of one turn, and money for two."""
    world = priced(_refused_above(Decimal("0.6")), *(("refund", {"n": n}) for n in range(3)))
    async with started(client, world, {"team": tool_team({**PRICED})}) as handle:
        state = await until(handle, lambda now: bool(now.waiting))
        (waiting,) = state.waiting
        assert waiting.type == ErrorType.BUDGET_EXHAUSTED
        assert " budget " in waiting.command
        _limit(world, Decimal(5))
        await handle.execute_update("adjust_budget", {"agent": "clerk", "budget_usd": 5})
        report: RunReport = await handle.result()
    made = [each.key.rpartition(":")[2] for each in world.orders]
    refused = waiting.subject.partition(":")[2]
    assert sorted(made) == sorted(["1.1", "1.2", "1.3", refused])
    assert report.outcomes[0].output == "ok | ok | ok"
    assert tools_usd(report) == 3 * PRICE


@pytest.mark.parametrize("rule", ["skip", "fail"])
async def test_where_the_team_does_not_wait_for_money_the_task_ends(
    client: Client, rule: str
) -> None:
    """And what its other calls have done is in the books."""
    world = priced(_refused_above(Decimal("0.3")), *(("refund", {"n": n}) for n in range(2)))
    given = tool_team({**PRICED})
    given["agents"]["clerk"]["on_exhausted"] = rule
    async with started(client, world, {"team": given}) as handle:
        report = await report_of(handle)
        views = await shown(handle)
    expected = TaskStatus.SKIPPED if rule == "skip" else TaskStatus.FAILED
    assert report.outcomes[0].task.status is expected
    assert tools_usd(report) == PRICE
    assert sorted(each.status for each in views) == ["cancelled", "done"]
    assert len(world.wholes) == 1


def _refused_above(limit: Decimal) -> Any:
    """As the gateway: a call is admitted where its price fits what is left of the limit."""
    state = {"limit": limit, "left": limit}

    async def tool(order: ToolOrder) -> str:
        if state["left"] < PRICE:
            figures = ToolFailure(required_usd=PRICE, remaining_usd=state["left"])
            raise ApplicationError(
                "no money", figures, type=ErrorType.BUDGET_EXHAUSTED, non_retryable=True
            )
        state["left"] -= PRICE
        return "ok"

    tool.state = state  # type: ignore[attr-defined]
    return tool


def _limit(world: ToolWorld, left: Decimal) -> None:
    world.tool.state["left"] = left  # type: ignore[attr-defined]


async def test_a_turn_without_money_waits_and_its_tools_are_not_called_again(
    client: Client,
) -> None:
    poor = [True]

    def says(call: Any) -> Said:
        assert call.conversation is not None
        if call.conversation.turn == 3 and poor:
            raise exhausted(COST, Decimal(0))
        turn = call.conversation.turn
        return calls(("refund", {"n": turn})) if turn <= 3 else "done"

    world = ToolWorld(says)
    async with started(client, world, {"team": tool_team()}) as handle:
        state = await until(handle, lambda now: bool(now.waiting))
        assert [each.subject for each in state.waiting] == ["work"]
        poor.clear()
        await handle.execute_update("adjust_budget", {"agent": "clerk", "budget_usd": 2})
        report: RunReport = await handle.result()
    assert report.answer is not None
    assert [each.key.rpartition(":")[2] for each in world.orders] == ["1.1", "2.1", "3.1"]
    ids = {each.conversation.id for each in world.wholes if each.conversation is not None}
    assert len(ids) == 1


def _first_has_failed(now: RunState) -> bool:
    return bool(now.tasks) and now.tasks[0].status is TaskStatus.FAILED


async def test_what_nobody_answers_in_time_is_asked_again_when_the_task_is_tried_again(
    client: Client,
) -> None:
    """The task fails, its conversation stays, and a retry repeats nothing by itself."""
    world = ToolWorld(
        lambda call: once(CALL)(call) if call.task == "work" else "waited", lost_after(mark=True)
    )
    given = tool_team()
    given["agents"]["clerk"] |= {"park_timeout_seconds": 2, "on_park_timeout": "fail"}
    given["agents"]["other"] = {"role": "Other", "budget_usd": 1}
    given["tasks"].append({"id": "held", "agent": "other", "ask": "x", "approve": "before"})
    async with started(client, world, {"team": given}) as handle:
        failed = await until(handle, _first_has_failed)
        assert "may have run" in str(failed.tasks[0].failure)
        assert [each.status for each in await shown(handle)] == ["unknown"]
        await handle.execute_update("retry_task", {"task": "work"})
        await waits(handle, "work:1.1", "held")
        assert len(world.orders) == 1
        await answer(handle, "result", result="refunded by hand")
        await handle.execute_update("approve", {"subject": "held", "approved": True})
        report: RunReport = await handle.result()
    assert len(world.orders) == 1
    assert report.outcomes[0].output == "refunded by hand"
