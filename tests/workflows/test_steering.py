"""Signals, updates and queries, with valid and with wrong payloads."""

import asyncio
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from durable_agent_team.client.exceptions import UpdateRefused
from durable_agent_team.client.run_control import RunControl
from durable_agent_team.contracts.call import CallRequest, CallResult
from durable_agent_team.contracts.run import RunReport, RunState, RunStatus, TaskStatus
from durable_agent_team.contracts.spend import AgentStatus, LedgerAgreement
from tests.support.fakes import COST, FakeWorld, exhausted
from tests.support.run_reports import report_of
from tests.workflows.runs import CHAIN, Gate, Handle, spend, started, state, team
from tests.workflows.test_planning import GOOD, Planner


async def test_spend_can_be_queried_while_the_run_works(client: Client) -> None:
    gate = Gate("b")
    async with started(client, FakeWorld(gate), {"team": team(tasks=CHAIN)}) as handle:
        await gate.reached.wait()
        report = await spend(handle)
        research = next(each for each in report.agents if each.agent == "research")
        assert research.spent_usd == COST
        assert research.status is AgentStatus.WORKING
        assert research.reserved_usd > 0
        assert report.ledger_agrees is LedgerAgreement.OPEN
        gate.open.set()
        await handle.result()
        assert (await spend(handle)).ledger_agrees is LedgerAgreement.YES


async def test_cancel_keeps_what_is_done_closes_the_accounts_and_reports(client: Client) -> None:
    gate = Gate("b")
    world = FakeWorld(gate)
    async with started(client, world, {"team": team(tasks=CHAIN)}) as handle:
        await gate.reached.wait()
        await handle.signal("cancel", {"reason": "enough"})
        report = await report_of(handle)
    _assert_cancelled(report, world, "enough")


async def test_a_cancellation_by_temporal_ends_the_run_in_the_same_way(client: Client) -> None:
    gate = Gate("b")
    world = FakeWorld(gate)
    async with started(client, world, {"team": team(tasks=CHAIN)}) as handle:
        await gate.reached.wait()
        await handle.cancel()
        report = await report_of(handle)
    _assert_cancelled(report, world, "cancelled in Temporal")


def _assert_cancelled(report: RunReport, world: FakeWorld, reason: str) -> None:
    assert report.status is RunStatus.CANCELLED
    assert report.cancel_reason == reason
    outcomes = {each.task.id: each for each in report.outcomes}
    assert outcomes["a"].output == "answer of a"
    assert [outcomes[each].task.status for each in "abc"] == [
        TaskStatus.DONE,
        TaskStatus.CANCELLED,
        TaskStatus.CANCELLED,
    ]
    assert {book.status for book in world.books.values()} == {"disabled"}
    assert report.spend.ledger_agrees is LedgerAgreement.YES
    assert not [call for call in world.calls if call.task in ("c", "answer")]


async def test_a_cancelled_call_that_still_answers_starts_nothing(client: Client) -> None:
    reached = asyncio.Event()

    async def stubborn(call: CallRequest) -> None:
        if call.task == "a":
            reached.set()
            await asyncio.sleep(0.5)

    world = FakeWorld(stubborn)
    async with started(client, world, {"team": team(tasks=CHAIN)}) as handle:
        await reached.wait()
        await handle.signal("cancel")
        report = await report_of(handle)
    assert report.outcomes[0].task.status in (TaskStatus.DONE, TaskStatus.CANCELLED)
    assert {call.task for call in world.calls} == {"a"}
    assert report.spend.ledger_agrees is LedgerAgreement.YES


@pytest.mark.parametrize("native", [False, True])
async def test_a_second_cancellation_returns_the_same_report(client: Client, native: bool) -> None:
    """A call that cannot be stopped at once is waited for, so that its charge is in the report."""
    reached, cancelled = asyncio.Event(), asyncio.Event()

    async def stubborn(call: CallRequest) -> None:
        reached.set()
        while not cancelled.is_set():
            with suppress(asyncio.CancelledError):
                await cancelled.wait()

    world = FakeWorld(stubborn)
    async with started(client, world, {"team": team(tasks=CHAIN)}) as handle:
        await reached.wait()
        await handle.signal("cancel")
        await state(handle)
        await (handle.cancel() if native else handle.signal("cancel"))
        await state(handle)
        await asyncio.sleep(0.5)
        cancelled.set()
        report = await report_of(handle)
    assert report.status is RunStatus.CANCELLED
    assert report.spend.total.spent_usd == world.books["research"].spent == COST


async def test_pause_lets_calls_finish_and_starts_none_until_resume(client: Client) -> None:
    gate = Gate("a")
    world = FakeWorld(gate)
    async with started(client, world, {"team": team(tasks=CHAIN)}) as handle:
        await gate.reached.wait()
        await handle.signal("pause")
        gate.open.set()
        while (await state(handle)).tasks[0].status is not TaskStatus.DONE:
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.2)
        assert (await state(handle)).paused
        assert {call.task for call in world.calls} == {"a"}
        await handle.signal("resume")
        assert (await handle.result()).status is RunStatus.COMPLETED


async def test_a_call_that_waits_for_its_place_is_held_by_a_pause(client: Client) -> None:
    gate = Gate("a")
    world = FakeWorld(gate)
    tasks = [{"id": each, "agent": "research", "ask": "Go."} for each in ("a", "b")]
    changed = team(tasks=tasks, result="a", max_parallel=1)
    async with started(client, world, {"team": changed}) as handle:
        await gate.reached.wait()
        await handle.signal("pause")
        gate.open.set()
        while (await state(handle)).tasks[0].status is not TaskStatus.DONE:
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.3)
        assert {call.task for call in world.calls} == {"a"}
        await handle.signal("resume")
        assert (await handle.result()).status is RunStatus.COMPLETED


async def test_a_raised_budget_is_effective_at_the_provider(client: Client) -> None:
    gate = Gate("b")
    world = FakeWorld(gate)
    async with started(client, world, {"team": team(tasks=CHAIN)}) as handle:
        await gate.reached.wait()
        answer = await handle.execute_update(
            "adjust_budget", {"agent": "research", "budget_usd": 2.5}
        )
        assert Decimal(answer["budget_usd"]) == Decimal("2.5")
        assert world.books["research"].budget == Decimal("2.5")
        await handle.signal(
            "adjust", {"kind": "adjust_budget", "agent": "editor", "budget_usd": "3"}
        )
        while world.books["editor"].budget != 3:
            await asyncio.sleep(0.02)
        gate.open.set()
        await handle.result()


async def test_a_sender_may_bound_what_all_limits_come_to(client: Client) -> None:
    """As the MCP server does; a lower limit is never refused for it."""
    gate = Gate("b")
    world = FakeWorld(gate)
    async with started(client, world, {"team": team(tasks=CHAIN)}) as handle:
        await gate.reached.wait()
        total = sum((each.budget for each in world.books.values()), Decimal(0))
        now = world.books["research"].budget
        bounded = {"agent": "research", "max_total_usd": str(total + 1)}
        await handle.execute_update("adjust_budget", {**bounded, "budget_usd": str(now + 1)})
        above = {**bounded, "budget_usd": str(now + 1 + Decimal("0.000001"))}
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await handle.execute_update("adjust_budget", above)
        assert isinstance(refused.value.cause, ApplicationError)
        assert "the most that this sender may set" in refused.value.cause.message
        await handle.signal("adjust", {"kind": "adjust_budget", **above})
        while not (await state(handle)).refusals:
            await asyncio.sleep(0.02)
        assert world.books["research"].budget == now + 1
        less = {"agent": "research", "max_total_usd": "0.01", "budget_usd": str(now)}
        await handle.execute_update("adjust_budget", less)
        assert world.books["research"].budget == now
        gate.open.set()
        await handle.result()


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ([{"agent": "nobody", "budget_usd": 1}], "no such agent (one of: orchestrator, research"),
        ([{"agent": "research"}], "budget_usd: missing"),
        ([{"agent": "research", "budget_usd": "lots"}], "budget_usd = 'lots'"),
        ([{"agent": "research", "budget_usd": 0.001}], "below what research has spent"),
        ([{"agent": "research", "budget_usd": -1}], "greater than"),
        ([{"agent": "research", "budget_usd": 1, "x": 1}], "x: no such key"),
        (["research", 1], "one argument is expected, got 2"),
        ([None], "agent: missing"),
        ([], "agent: missing"),
        ([7], "a JSON object is expected, got 7"),
    ],
)
async def test_a_wrong_update_is_refused_with_the_reason(
    held_run: tuple[Handle, FakeWorld], payload: list[Any], words: str
) -> None:
    handle, _ = held_run
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await handle.execute_update("adjust_budget", args=payload)
    assert isinstance(refused.value.cause, ApplicationError)
    assert words in refused.value.cause.message


@pytest.mark.parametrize("signal", ["cancel", "adjust", "pause", "resume"])
@pytest.mark.parametrize(
    "payload", [[7], ["x"], [[1]], [{"nonsense": 1}], [{}, {}], [{"reason": 5, "kind": 5}]]
)
async def test_a_wrong_signal_is_recorded_and_harms_nothing(
    held_run: tuple[Handle, FakeWorld], signal: str, payload: list[Any]
) -> None:
    handle, _ = held_run
    await handle.signal(signal, args=payload)
    seen = await state(handle)
    assert seen.refusals[-1].message == signal
    assert seen.status is RunStatus.WORKING
    assert not seen.paused


@pytest.mark.parametrize(
    ("name", "told"),
    [("approve", 'signal `adjust` with "kind": "approve"'), ("nonsense", "`pause`")],
)
@pytest.mark.parametrize("payload", [[], [{"subject": "plan", "approved": True}], [7, "x"]])
async def test_a_signal_of_another_name_is_recorded(
    held_run: tuple[Handle, FakeWorld], name: str, told: str, payload: list[Any]
) -> None:
    handle, _ = held_run
    await handle.signal(name, args=payload)
    refused = (await state(handle)).refusals[-1]
    assert refused.message == name
    assert told in refused.problem


async def test_adjust_without_any_payload_is_recorded(held_run: tuple[Handle, FakeWorld]) -> None:
    handle, _ = held_run
    await handle.signal("adjust")
    assert (await state(handle)).refusals[-1].problem == "kind: missing"


async def test_a_plan_can_wait_for_a_person(client: Client) -> None:
    world = FakeWorld()
    async with started(client, world, {"team": team(approve_plan=True)}) as handle:
        seen = await _waiting(handle)
        assert seen.status is RunStatus.APPROVAL
        assert "approve" in seen.waiting[0].command
        assert not world.calls
        with pytest.raises(WorkflowUpdateFailedError):
            await handle.execute_update("approve", {"subject": "lunch", "approved": True})
        await handle.execute_update("approve", {"subject": "plan", "approved": True})
        assert (await handle.result()).status is RunStatus.COMPLETED


class Early(RunControl):
    """Its first decision reaches the run before what it decides."""

    sent = 0

    async def _update(self, name: str, command: Any, kind: Any, what: str) -> Any:
        self.sent += 1
        if self.sent == 1:
            raise UpdateRefused("subject = 'plan': nothing of this name waits for a person")
        return await super()._update(name, command, kind, what)


async def test_a_decision_that_came_before_what_it_decides_is_sent_again(client: Client) -> None:
    world = FakeWorld()
    async with started(client, world, {"team": team(approve_plan=True)}) as handle:
        await _waiting(handle)
        control = Early(client, handle.id)
        assert (await control.approve("plan")).approved
        assert control.sent == 2
        assert (await handle.result()).status is RunStatus.COMPLETED


async def test_a_decision_about_nothing_that_waits_is_sent_once(client: Client) -> None:
    world = FakeWorld()
    async with started(client, world, {"team": team(approve_plan=True)}) as handle:
        await _waiting(handle)
        control = Early(client, handle.id)
        with pytest.raises(UpdateRefused):
            await control.approve("lunch")
        assert control.sent == 1
        await RunControl(client, handle.id).approve("plan")
        assert (await handle.result()).status is RunStatus.COMPLETED


async def test_a_refused_plan_costs_nothing_more(client: Client) -> None:
    world = FakeWorld()
    async with started(client, world, {"team": team(approve_plan=True)}) as handle:
        await _waiting(handle)
        await handle.execute_update(
            "approve", {"subject": "plan", "approved": False, "note": "too broad"}
        )
        report = await report_of(handle)
    assert report.status is RunStatus.CANCELLED
    assert report.cancel_reason == "the plan was rejected: too broad"
    assert not world.calls


async def test_a_task_that_waits_for_money_cannot_be_approved(client: Client) -> None:
    """Neither can `plan` before there is one: an early approval would count for it."""
    empty = True

    def rule(call: CallRequest) -> CallResult | None:
        if empty and call.task == "plan":
            raise exhausted(COST, Decimal(0))
        return planner(call)

    unplanned = {key: value for key, value in team().items() if key not in ("tasks", "result")}
    changed = {**unplanned, "approve_plan": True}
    planner = Planner(GOOD)
    planner.world.rule = rule
    yes = {"subject": "plan", "approved": True}
    async with started(client, planner.world, {"team": changed}) as handle:
        seen = await _waiting(handle)
        assert seen.waiting[0].type == "BudgetExhausted"
        with pytest.raises(WorkflowUpdateFailedError) as caught:
            await handle.execute_update("approve", yes)
        assert f"`{seen.waiting[0].command}` does" in str(caught.value.cause)
        assert (await state(handle)).waiting == seen.waiting, "it waits as before, and is shown"
        empty = False
        await handle.execute_update("retry_task", {"task": "plan"})
        while (await state(handle)).status is not RunStatus.APPROVAL:
            await asyncio.sleep(0.02)
        await handle.execute_update("approve", yes)
        assert (await handle.result()).status is RunStatus.COMPLETED


async def _waiting(handle: Handle) -> RunState:
    while not (seen := await state(handle)).waiting:
        await asyncio.sleep(0.02)
    return seen
