"""Effects happen once, or a person decides: what a run does when the worker of a tool is lost."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import (
    Client,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowUpdateFailedError,
)
from temporalio.exceptions import ApplicationError

from durable_agent_team.contracts.call import CallRequest
from durable_agent_team.contracts.control import TaskAnswer
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.run import RunReport, RunState, RunStatus, TaskStatus
from durable_agent_team.contracts.spend import LedgerAgreement
from durable_agent_team.contracts.tool_box import ToolBox
from durable_agent_team.contracts.tool_call import (
    ListTools,
    ToolDemand,
    ToolFailure,
    ToolOrder,
    ToolResult,
)
from tests.support.tools import Said, ToolWorld, calls, tool_result
from tests.workflows.runs import spend, started, state, team

REFUND = {"python": "shop:refund", "effects": "once", "approve": "never"}
WAIT_SECONDS = 60


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


async def waits(handle: WorkflowHandle[Any, Any], *subjects: str) -> RunState:
    """The state, once exactly these wait for a person. Fails with what waits instead."""
    now = await state(handle)
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            while {each.subject for each in now.waiting} != set(subjects):
                await asyncio.sleep(0.05)
                now = await state(handle)
    except TimeoutError:
        seen = [(each.subject, each.reason) for each in now.waiting]
        tasks = [(each.id, each.status.value, each.failure) for each in now.tasks]
        pytest.fail(f"{subjects} do not wait: the run is {now.status.value}, {seen=}, {tasks=}")
    return now


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


@pytest.mark.parametrize("effects", ["once", "none"])
async def test_a_call_that_no_worker_has_sent_needs_no_person_however_many_stop(
    client: Client, effects: str
) -> None:
    """As in a deployment that stops one worker after the other."""
    stops = 5
    error = ApplicationError("shut down", ToolFailure(), type=ErrorType.WORKER_LOST)

    class Stopping(ToolWorld):
        @activity.defn
        async def list_tools(self, wanted: ListTools) -> ToolBox:
            box = await super().list_tools(wanted)
            if len(self.listed) <= stops:
                raise error
            return box

    def tool(order: ToolOrder) -> str:
        if len(world.orders) <= stops:
            raise error
        return "refunded"

    refund = {**REFUND, "effects": effects, "max_attempts": 1}
    world = Stopping(once(("refund", {"amount": 5})), tool)
    async with started(client, world, {"team": tool_team(refund)}) as handle:
        report: RunReport = await asyncio.wait_for(handle.result(), WAIT_SECONDS)
    assert report.outcomes[0].output == "refunded"
    assert len(world.orders) == stops + 1
    assert len({each.key for each in world.orders}) == 1


async def test_what_may_have_run_parks_and_is_retried_with_the_same_key(client: Client) -> None:
    world = ToolWorld(once(("refund", {"amount": 5})), lost_after(mark=True))
    async with started(client, world, {"team": tool_team()}) as handle:
        state = await waits(handle, "work:1.1")
        assert state.status is RunStatus.PARKED
        assert state.tasks[0].status is TaskStatus.PARKED
        (waiting,) = state.waiting
        assert waiting.type == ErrorType.EFFECT_UNKNOWN
        assert "work:1.1 DECISION --since " in waiting.command
        assert "shop:refund may have run" in waiting.reason
        assert len(world.orders) == 1
        await answer(handle, "retry")
        report: RunReport = await handle.result()
    first, second = world.orders
    assert first.key == second.key
    assert (first.again, second.again) == (False, True)
    assert report.outcomes[0].output == "refunded in attempt 2"


async def test_an_answer_that_is_pasted_late_is_no_answer_to_what_waits_by_then(
    client: Client,
) -> None:
    """The tool could not be called, and `retry` was right. Then it may have run: the same words
    would run it twice."""
    attempts: list[str] = []

    async def tool(order: ToolOrder) -> str:
        attempts.append(order.key)
        if len(attempts) == 1:
            failure, kind = ToolFailure(sent=False), ErrorType.TOOL_UNAVAILABLE
            raise ApplicationError("no such server", failure, type=kind, non_retryable=True)
        activity.heartbeat("sent")
        await asyncio.sleep(60)
        return "refunded"

    world = ToolWorld(once(("refund", {"amount": 5})), tool)
    async with started(client, world, {"team": tool_team()}) as handle:
        (first,) = (await waits(handle, "work:1.1")).waiting
        assert "work:1.1 retry --since " in first.command
        since = first.since.isoformat()
        await answer(handle, "retry", since=since)
        while (now := await state(handle)).waiting in ((), (first,)):
            await asyncio.sleep(0.05)
        (second,) = now.waiting
        assert second.type == ErrorType.EFFECT_UNKNOWN
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await answer(handle, "retry", since=since)
        assert "it waits since " in str(refused.value.cause)
        late = {"kind": "answer", "task": "work:1.1", "decision": "retry", "since": since}
        await handle.signal("adjust", late)
        assert len((await state(handle)).waiting) == 1
        assert len(attempts) == 2
        await answer(handle, "skip", since=second.since.isoformat())
        await handle.result()
    assert len(attempts) == 2


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


async def test_a_persons_result_is_cut_like_every_result_and_who_gave_it_is_shown(
    client: Client,
) -> None:
    given = "a" * 300 + "b" * 300
    world = ToolWorld(once(("refund", {"amount": 5})), lost_after(mark=True))
    refund = {**REFUND, "max_result_bytes": 200}
    async with started(client, world, {"team": tool_team(refund)}) as handle:
        await waits(handle, "work:1.1")
        said = {"task": "work:1.1", "decision": "result", "result": given, "by": "ann@desk"}
        told = TaskAnswer.model_validate(await handle.execute_update("answer", said))
        report: RunReport = await handle.result()
    assert (told.result_bytes, told.max_result_bytes) == (600, 200)
    got = report.outcomes[0].output or ""
    assert len(got.encode()) <= 200
    assert got.startswith("a")
    assert got.endswith("b")
    [decided] = report.decisions
    assert (decided.subject, decided.decision, decided.by) == ("work:1.1", "result", "ann@desk")


PRICED = {**REFUND, "price_usd": "0.25"}


async def test_the_price_of_a_call_is_in_the_books_once(client: Client) -> None:
    """Reserved while it is unknown whether it ran; settled by a person's result, or a retry."""
    for decision, more, spent in [
        ("retry", {}, "0.25"),
        ("result", {"result": "done"}, "0.25"),
        ("skip", {}, "0"),
    ]:
        world = ToolWorld(once(("refund", {"amount": 5})), lost_after(mark=True))
        world.price_usd = Decimal("0.25")
        async with started(client, world, {"team": tool_team(PRICED)}) as handle:
            await waits(handle, "work:1.1")
            clerk = next(each for each in (await spend(handle)).agents if each.agent == "clerk")
            assert clerk.reserved_usd == Decimal("0.25")
            await answer(handle, decision, **more)
            report: RunReport = await handle.result()
        assert report.spend.ledger_agrees is LedgerAgreement.YES, decision
        clerk = next(each for each in report.spend.agents if each.agent == "clerk")
        assert clerk.tools_usd == Decimal(spent), decision
        assert clerk.spent_usd == Decimal("0.02") + Decimal(spent)


async def test_neither_money_nor_a_retry_repeats_what_may_have_run(client: Client) -> None:
    world = ToolWorld(once(("refund", {"amount": 5})), lost_after(mark=True))
    async with started(client, world, {"team": tool_team()}) as handle:
        await waits(handle, "work:1.1")
        await handle.execute_update("adjust_budget", {"agent": "clerk", "budget_usd": 2})
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await handle.execute_update("retry_task", {"task": "work:1.1"})
        assert "answer it with retry, skip, or result" in str(refused.value.cause)
        assert (await state(handle)).waiting[0].subject == "work:1.1"
        await handle.signal("adjust", {"kind": "answer", "task": "work:1.1", "decision": "skip"})
        await handle.result()
    assert len(world.orders) == 1


async def test_a_tool_that_asks_for_payment_parks_with_its_amount_and_address(
    client: Client,
) -> None:
    asked: list[ToolOrder] = []

    def tool(order: ToolOrder) -> str:
        asked.append(order)
        if len(asked) == 1:
            demand = ToolDemand(kind="payment", url="https://pay.example/1", amount="2 USD")
            raise ApplicationError(
                "it wants 2 USD at https://pay.example/1",
                ToolFailure(demand=demand),
                type=ErrorType.TOOL_ASKS,
                non_retryable=True,
            )
        return "done"

    world = ToolWorld(once(("refund", {"amount": 5})), tool)
    async with started(client, world, {"team": tool_team()}) as handle:
        (waiting,) = (await waits(handle, "work:1.1")).waiting
        assert "2 USD at https://pay.example/1" in waiting.reason
        await answer(handle, "retry")
        report: RunReport = await handle.result()
    assert report.outcomes[0].output == "done"
    assert "pay.example" not in str([each.model_dump() for each in world.wholes])


async def test_a_tool_that_cannot_be_called_parks_and_one_that_is_slow_tells_its_agent(
    client: Client,
) -> None:
    def failing(kind: ErrorType) -> Callable[[ToolOrder], str]:
        def tool(order: ToolOrder) -> str:
            raise ApplicationError("no", ToolFailure(), type=kind, non_retryable=True)

        return tool

    look = {"python": "shop:look", "effects": "none", "max_attempts": 1}
    for kind in (ErrorType.TOOL_CHANGED, ErrorType.TOOL_UNAVAILABLE, ErrorType.TOOL_FAILED):
        world = ToolWorld(once(("look", {})), failing(kind))
        async with started(client, world, {"team": tool_team(look)}) as handle:
            (waiting,) = (await waits(handle, "work:1.1")).waiting
            assert waiting.type == kind
            await answer(handle, "skip")
            await handle.result()
    world = ToolWorld(once(("look", {})), failing(ErrorType.TOOL_TIMEOUT))
    async with started(client, world, {"team": tool_team(look)}) as handle:
        report: RunReport = await handle.result()
    assert report.outcomes[0].output == "The call failed: no"


async def test_while_paused_no_tool_starts_and_cancel_ends_what_waits(client: Client) -> None:
    asking = {**REFUND, "approve": "always"}
    world = ToolWorld(once(("refund", {"amount": 5})))
    async with started(client, world, {"team": tool_team(asking)}) as handle:
        await waits(handle, "work:1.1")
        await handle.signal("pause")
        await handle.execute_update("approve", {"subject": "work:1.1", "approved": True})
        await asyncio.sleep(0.3)
        assert world.orders == []
        await handle.signal("resume")
        await handle.result()
    assert len(world.orders) == 1
    world = ToolWorld(once(("refund", {"amount": 5})))
    async with started(client, world, {"team": tool_team(asking)}) as handle:
        await waits(handle, "work:1.1")
        await handle.signal("cancel", {"reason": "enough"})
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        assert (await state(handle)).waiting == ()
    assert world.orders == []


async def test_one_call_of_a_turn_parks_beside_one_that_fails_and_one_that_succeeds(
    client: Client,
) -> None:
    """And an answer counts once, for what waits: neither for another name nor a second time."""

    def tool(order: ToolOrder) -> ToolResult | str:
        if order.facts.name == "refund":
            failure = ToolFailure(sent=True)
            raise ApplicationError("gone", failure, type=ErrorType.EFFECT_UNKNOWN)
        at = order.arguments
        return tool_result(f"no {at}", is_error=True) if "1" in at else f"seen {at}"

    look = {"python": "shop:look", "effects": "none"}
    made = [("look", {"at": 1}), ("refund", {"amount": 5}), ("look", {"at": 2})]
    world = ToolWorld(once(*made), tool)
    async with started(client, world, {"team": tool_team(REFUND, look)}) as handle:
        await waits(handle, "work:1.2")
        for wrong in ("work:1.1", "work:1.3", "work:9.9", "work", "", "1.2"):
            with pytest.raises(WorkflowUpdateFailedError):
                await handle.execute_update("answer", {"task": wrong, "decision": "skip"})
        await handle.signal("pause")
        skip = {"task": "work:1.2", "decision": "skip"}
        await handle.execute_update("answer", skip)
        with pytest.raises(WorkflowUpdateFailedError):
            await handle.execute_update("answer", {**skip, "decision": "retry"})
        await handle.signal("resume")
        report: RunReport = await handle.result()
    first, second, third = (report.outcomes[0].output or "").split(" | ")
    assert (first, third) == ('no {"at": 1}', 'seen {"at": 2}')
    assert "not known whether it had its effect" in second
    assert len(world.orders) == 3
