"""At its deadline a run stops to start calls, waits for those in flight, and reports."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from temporalio.client import Client
from temporalio.exceptions import ApplicationError

from durable_agent_team.contracts.call import CallRequest, CallResult
from durable_agent_team.contracts.run import RunReport, RunStatus, TaskStatus
from durable_agent_team.contracts.spend import LedgerAgreement
from tests.support.fakes import FakeWorld, exhausted
from tests.support.run_reports import report_of
from tests.workflows.runs import CHAIN, Gate, Handle, parked, started, state, team, two_tasks, until
from tests.workflows.test_adjust_run import refusal
from tests.workflows.test_concurrency import wide

SOON = timedelta(seconds=1.5)
DAY = timedelta(days=1)
"""Less than the park timeout of a week."""


async def set_deadline(handle: Handle, after: timedelta) -> datetime:
    at = datetime.now(UTC) + after
    answer = await handle.execute_update("adjust_run", {"deadline": at.isoformat()})
    assert datetime.fromisoformat(answer["deadline"]) == at
    return at


async def until_reached(handle: Handle) -> None:
    await until(handle, lambda now: now.cancel_reason is not None)


async def pass_deadline(handle: Handle, gate: Gate) -> datetime:
    """Sets a deadline while the gate holds its call, and returns it when it has passed."""
    await gate.reached.wait()
    at = await set_deadline(handle, SOON)
    await until_reached(handle)
    return at


def assert_ended_by(report: RunReport, at: datetime) -> None:
    assert report.status is RunStatus.CANCELLED
    assert report.cancel_reason == f"the deadline, {at:%Y-%m-%d %H:%M:%S} UTC, has come"
    assert report.ended_at >= at
    assert report.spend.ledger_agrees is LedgerAgreement.YES


def statuses(report: RunReport) -> list[TaskStatus]:
    return [each.task.status for each in report.outcomes]


async def test_calls_in_flight_complete_and_no_call_follows(client: Client) -> None:
    gate = Gate("b")
    world = FakeWorld(gate)
    async with started(client, world, {"team": team(tasks=CHAIN)}) as handle:
        await gate.reached.wait()
        at = await set_deadline(handle, SOON)
        now = await state(handle)
        assert (now.deadline, now.cancel_reason) == (at, None)
        await until_reached(handle)
        assert world.active == 1, "it is not cancelled"
        gate.open.set()
        report = await report_of(handle)
    assert_ended_by(report, at)
    assert statuses(report) == [TaskStatus.DONE, TaskStatus.DONE, TaskStatus.CANCELLED]
    assert [each.output for each in report.outcomes] == ["answer of a", "answer of b", None]
    assert [call.task for call in world.calls] == ["a", "b"]
    assert {book.status for book in world.books.values()} == {"disabled"}


async def test_a_run_that_is_parked_at_its_deadline_ends(skipping: Client) -> None:
    gate = Gate("a")
    world = FakeWorld(gate)
    async with started(skipping, world, {"team": two_tasks({})}) as handle:
        await gate.reached.wait()
        at = await set_deadline(handle, DAY)
        gate.open.set()
        report = await report_of(handle)
    assert_ended_by(report, at)
    assert report.ended_at - at < timedelta(hours=1)
    assert statuses(report) == [TaskStatus.DONE, TaskStatus.CANCELLED, TaskStatus.CANCELLED]


async def test_a_paused_run_ends_at_its_deadline_too(skipping: Client) -> None:
    gate = Gate("a")
    async with started(skipping, FakeWorld(gate), {"team": team(tasks=CHAIN)}) as handle:
        await gate.reached.wait()
        at = await set_deadline(handle, DAY)
        await handle.signal("pause")
        gate.open.set()
        assert_ended_by(await report_of(handle), at)


async def test_a_run_that_waits_for_approval_ends_at_its_deadline(skipping: Client) -> None:
    world = FakeWorld()
    async with started(skipping, world, {"team": team(approve_plan=True)}) as handle:
        change = {"deadline": (datetime.now(UTC) + 40 * DAY).isoformat()}
        answer = await handle.execute_update("adjust_run", change)
        report = await report_of(handle)
    assert_ended_by(report, datetime.fromisoformat(answer["deadline"]))
    assert not world.calls


async def test_calls_that_wait_for_a_place_are_never_made(client: Client) -> None:
    reached, go = asyncio.Event(), asyncio.Event()

    async def hold(_: CallRequest) -> None:
        reached.set()
        await go.wait()

    world = FakeWorld(hold)
    changed = team(tasks=wide(5), result="t0", max_parallel=2)
    async with started(client, world, {"team": changed}) as handle:
        await reached.wait()
        at = await set_deadline(handle, SOON)
        await until_reached(handle)
        go.set()
        report = await report_of(handle)
    assert_ended_by(report, at)
    assert statuses(report) == [TaskStatus.DONE] * 2 + [TaskStatus.CANCELLED] * 3
    assert len(world.calls) == 2


async def test_calls_that_wait_for_money_in_flight_are_never_made(client: Client) -> None:
    gate = Gate("t0")
    world = FakeWorld(gate)
    agents = {"research": {"role": "R", "budget_usd": "0.03", "max_tokens": 20_000}}
    changed = team(agents=agents, tasks=wide(2), result="t0")
    async with started(client, world, {"team": changed}) as handle:
        at = await pass_deadline(handle, gate)
        gate.open.set()
        assert_ended_by(await report_of(handle), at)
    assert [call.task for call in world.calls] == ["t0"]


async def test_a_call_that_is_refused_after_the_deadline_does_not_park(client: Client) -> None:
    gate = Gate("b")

    async def rule(call: CallRequest) -> None:
        await gate(call)
        if call.task == "b":
            raise exhausted_now

    exhausted_now = exhausted(Decimal(1), Decimal(0))
    async with started(client, FakeWorld(rule), {"team": team(tasks=CHAIN)}) as handle:
        at = await pass_deadline(handle, gate)
        gate.open.set()
        report = await report_of(handle)
    assert_ended_by(report, at)
    assert report.ended_at - at < timedelta(minutes=1)


async def test_an_answer_that_fails_its_checks_is_not_repaired(client: Client) -> None:
    """Its repair does not wait for the end of a pause either."""
    gate = Gate("b")

    async def rule(call: CallRequest) -> CallResult | None:
        await gate(call)
        return world.answer(call, "poor", reasons=("short",)) if call.task == "b" else None

    world = FakeWorld(rule)
    async with started(client, world, {"team": team(tasks=CHAIN)}) as handle:
        at = await pass_deadline(handle, gate)
        await handle.signal("pause")
        gate.open.set()
        assert_ended_by(await report_of(handle), at)
    assert [call.task for call in world.calls] == ["a", "b"]


async def test_a_final_answer_in_flight_completes_the_run(client: Client) -> None:
    gate = Gate("answer")
    async with started(client, FakeWorld(gate), {"team": team()}) as handle:
        await pass_deadline(handle, gate)
        gate.open.set()
        report = await report_of(handle)
    assert report.status is RunStatus.COMPLETED
    assert report.answer == "answer of answer"
    assert report.cancel_reason is None


async def test_a_review_in_flight_no_longer_changes_the_plan(client: Client) -> None:
    gate = Gate("review")

    async def rule(call: CallRequest) -> CallResult | None:
        await gate(call)
        review = {"redo": ["a"], "drop": [], "add": []}
        return world.answer(call, json.dumps(review)) if call.task == "review" else None

    world = FakeWorld(rule)
    async with started(client, world, {"team": team(review_rounds=2)}) as handle:
        at = await pass_deadline(handle, gate)
        gate.open.set()
        report = await report_of(handle)
    assert_ended_by(report, at)
    assert statuses(report) == [TaskStatus.DONE] * 3, "what is done is kept"


async def test_a_deadline_can_be_moved_and_removed(client: Client) -> None:
    gate = Gate("b")
    async with started(client, FakeWorld(gate), {"team": team(tasks=CHAIN)}) as handle:
        await gate.reached.wait()
        await set_deadline(handle, SOON)
        later = await set_deadline(handle, DAY)
        await asyncio.sleep(SOON.total_seconds() + 0.5)
        now = await state(handle)
        assert (now.cancel_reason, now.deadline) == (None, later)
        await handle.execute_update("adjust_run", {"max_parallel": 3})
        assert (await state(handle)).deadline == later, "a key that is left out changes nothing"
        await set_deadline(handle, SOON)
        await handle.execute_update("adjust_run", {"deadline": None})
        await asyncio.sleep(SOON.total_seconds() + 0.5)
        now = await state(handle)
        assert (now.cancel_reason, now.deadline) == (None, None)
        gate.open.set()
        assert (await report_of(handle)).status is RunStatus.COMPLETED


async def test_a_run_that_ends_before_its_deadline_does_not_wait_for_it(client: Client) -> None:
    gate = Gate("b")
    async with started(client, FakeWorld(gate), {"team": team(tasks=CHAIN)}) as handle:
        await gate.reached.wait()
        await set_deadline(handle, DAY)
        gate.open.set()
        report = await report_of(handle, 30)
    assert report.status is RunStatus.COMPLETED


async def test_after_its_deadline_a_run_refuses_new_limits_and_tasks(client: Client) -> None:
    gate = Gate("b")
    async with started(client, FakeWorld(gate), {"team": team(tasks=CHAIN)}) as handle:
        await pass_deadline(handle, gate)
        message = await refusal(handle, {"deadline": None})
        assert "the run starts nothing new any more: the deadline, " in message
        task = {"id": "more", "agent": "editor", "ask": "List the risks."}
        await handle.signal("adjust", {"kind": "add_task", **task})
        assert "the deadline, " in (await state(handle)).refusals[-1].problem
        await handle.signal("pause")
        gate.open.set()
        assert (await report_of(handle)).status is RunStatus.CANCELLED


async def test_a_parked_run_shows_its_deadline_and_can_be_cancelled(
    client: Client,
) -> None:
    async with started(client, FakeWorld(), {"team": two_tasks({})}) as handle:
        await until(handle, parked)
        await set_deadline(handle, DAY)
        await handle.signal("cancel", {"reason": "enough"})
        report = await report_of(handle)
    assert report.cancel_reason == "enough"


async def test_a_task_that_fails_after_the_deadline_fails_alone(client: Client) -> None:
    gate = Gate("b")

    async def rule(call: CallRequest) -> None:
        await gate(call)
        if call.task == "b":
            raise ApplicationError("no", type="Forbidden", non_retryable=True)

    async with started(client, FakeWorld(rule), {"team": team(tasks=CHAIN)}) as handle:
        at = await pass_deadline(handle, gate)
        gate.open.set()
        report = await report_of(handle)
    assert_ended_by(report, at)
    assert statuses(report) == [TaskStatus.DONE, TaskStatus.FAILED, TaskStatus.BLOCKED]
