"""A task that is done is done again, with everything behind it; the rest stays."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from durable_agent_team.contracts.call import CallRequest, CallResult
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.run import RunState, RunStatus, TaskStatus
from tests.support.fakes import COST, FakeWorld
from tests.support.run_reports import report_of
from tests.workflows.runs import parked, started, team, two_tasks, until

Handle = WorkflowHandle[Any, Any]


def task(name: str, *needs: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "agent": "research", "ask": f"Do {name}.", "depends_on": [*needs], **more}


CHAIN = [task("a"), task("b", "a"), task("c", "b"), task("other"), task("held", "other")]


class Holds:
    """Holds the calls of some tasks, the numbered ones of each, until the test releases them; what
    `a` answers has its number."""

    def __init__(self, **held: int) -> None:
        self.held = held
        self.counts: dict[str, int] = {}
        self.reached = {name: asyncio.Event() for name in held}
        self.open = {name: asyncio.Event() for name in held}
        self.world = FakeWorld(self)

    async def __call__(self, call: CallRequest) -> CallResult:
        number = self.counts[call.task] = self.counts.get(call.task, 0) + 1
        if self.held.get(call.task) == number:
            self.reached[call.task].set()
            await self.open[call.task].wait()
        return self.world.answer(call, f"{call.task} {number}")


def statuses(now: RunState) -> dict[str, TaskStatus]:
    return {task.id: task.status for task in now.tasks}


async def is_done(handle: Handle, *tasks: str) -> RunState:
    def seen(now: RunState) -> bool:
        return all(statuses(now).get(each) is TaskStatus.DONE for each in tasks)

    return await until(handle, seen)


async def retry(handle: Handle, name: str) -> dict[str, Any]:
    answer: dict[str, Any] = await handle.execute_update("retry_task", {"task": name})
    return answer


async def test_everything_behind_it_is_done_anew_and_the_rest_stays(client: Client) -> None:
    holds = Holds(held=1)
    async with started(client, holds.world, {"team": team(tasks=CHAIN, result="c")}) as handle:
        await is_done(handle, "a", "b", "c", "other")
        answer = await retry(handle, "a")
        assert answer["again"] == ["a", "b", "c"]
        assert answer["again_total"] == 3
        await is_done(handle, "a", "b", "c")
        holds.open["held"].set()
        report = await handle.result()
    assert report.status is RunStatus.COMPLETED
    assert holds.counts == {"a": 2, "b": 2, "c": 2, "other": 1, "held": 1, "answer": 1}
    outputs = {each.task.id: each.output for each in report.outcomes}
    assert outputs["c"] == "c 2", "the hand-off is the new one"
    last = [call for call in holds.world.calls if call.task == "b"][-1]
    assert [source.text for source in last.sources] == ["a 2"], "and so is what it was made from"
    assert report.spend.total.spent_usd == 9 * COST
    assert report.spend.ledger_agrees == "yes"


async def test_a_call_in_flight_behind_it_is_cancelled_and_its_cost_stays(client: Client) -> None:
    """`b` cannot be stopped at once, and answers after all: the answer is paid, and not used."""
    reached, release = asyncio.Event(), asyncio.Event()
    numbers: dict[str, int] = {}

    async def stubborn(call: CallRequest) -> CallResult:
        number = numbers[call.task] = numbers.get(call.task, 0) + 1
        if call.task == "b" and number == 1:
            reached.set()
            while not release.is_set():
                with suppress(asyncio.CancelledError):
                    await release.wait()
        return world.answer(call, f"{call.task} {number}")

    world = FakeWorld(stubborn)
    tasks = [task("a"), task("b", "a"), task("c", "b")]
    async with started(client, world, {"team": team(tasks=tasks, result="c")}) as handle:
        await reached.wait()
        assert (await retry(handle, "a"))["again"] == ["a", "b", "c"]
        await is_done(handle, "a", "b")
        release.set()
        report = await handle.result()
    assert report.status is RunStatus.COMPLETED
    assert {each.task.id: each.output for each in report.outcomes} == {
        "a": "a 2", "b": "b 2", "c": "c 1",
    }  # fmt: skip
    assert report.spend.total.spent_usd == world.books["research"].spent + COST == 6 * COST
    assert report.spend.ledger_agrees == "yes"


@pytest.mark.parametrize("how", ["failed", "skipped", "cancelled", "parked"])
async def test_a_dependant_that_ended_otherwise_is_done_anew_too(client: Client, how: str) -> None:
    """`b` ended without a hand-off, or waits for a person, and `c` waited for it."""
    good = False

    async def rule(call: CallRequest) -> CallResult | None:
        if call.task == "held":
            await release.wait()
        if call.task == "b" and not good:
            if how == "cancelled":
                reached.set()
                await asyncio.sleep(60)
            kind = ErrorType.CONTEXT_EXCEEDED if how == "failed" else ErrorType.BUDGET_EXHAUSTED
            raise ApplicationError("no", {"attempts": 1}, type=kind, non_retryable=True)
        return None

    reached, release = asyncio.Event(), asyncio.Event()
    world = FakeWorld(rule)
    changed = team(tasks=CHAIN, result="c")
    if how == "skipped":
        changed["agents"]["research"]["on_exhausted"] = "skip"
    async with started(client, world, {"team": changed}) as handle:
        await is_done(handle, "a")
        if how == "cancelled":
            await reached.wait()
            await handle.execute_update("cancel_task", {"task": "b"})
        await until(handle, lambda now: statuses(now)["b"] == how)
        good = True
        await retry(handle, "a")
        now = await is_done(handle, "a", "b", "c")
        assert not now.waiting
        assert all(each.failure is None for each in now.tasks)
        release.set()
        assert (await handle.result()).status is RunStatus.COMPLETED


async def test_what_another_failure_blocks_stays_blocked(client: Client) -> None:
    async def rule(call: CallRequest) -> CallResult | None:
        if call.task == "held":
            await release.wait()
        if call.task == "bad":
            raise ApplicationError("no", type=ErrorType.CONTEXT_EXCEEDED, non_retryable=True)
        return None

    release = asyncio.Event()
    world = FakeWorld(rule)
    tasks = [task("a"), task("bad"), task("b", "a", "bad"), task("c", "a"), task("held")]
    async with started(client, world, {"team": team(tasks=tasks, result="c")}) as handle:
        await is_done(handle, "c")
        await until(handle, lambda now: statuses(now)["b"] is TaskStatus.BLOCKED)
        assert (await retry(handle, "a"))["again"] == ["a", "b", "c"]
        now = await is_done(handle, "a", "c")
        assert statuses(now)["b"] is TaskStatus.BLOCKED
        release.set()
        assert (await handle.result()).status is RunStatus.COMPLETED


async def test_a_parked_run_does_it_again_too(client: Client) -> None:
    changed = two_tasks({})
    changed["tasks"].append({"id": "d", "agent": "editor", "ask": "Four."})
    world = FakeWorld()
    async with started(client, world, {"team": changed}) as handle:
        await until(handle, parked)
        await is_done(handle, "d")
        assert (await retry(handle, "d"))["again"] == ["d"]
        await until(handle, lambda now: now.status is RunStatus.PARKED and now.tasks[3].calls == 2)
        await handle.execute_update("adjust_budget", {"agent": "research", "budget_usd": 1})
        assert (await handle.result()).status is RunStatus.COMPLETED


async def test_it_is_done_again_twice_while_it_runs_again(client: Client) -> None:
    holds = Holds(held=1, a=2)
    async with started(client, holds.world, {"team": team(tasks=CHAIN, result="c")}) as handle:
        await is_done(handle, "c")
        await retry(handle, "a")
        await holds.reached["a"].wait()
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await retry(handle, "a")
        assert "task = 'a': running; only what is done" in str(refused.value.cause)
        holds.open["a"].set()
        await is_done(handle, "c")
        await retry(handle, "b")
        await is_done(handle, "c")
        holds.open["held"].set()
        report = await handle.result()
    assert holds.counts == {"a": 2, "b": 3, "c": 3, "other": 1, "held": 1, "answer": 1}
    assert report.spend.ledger_agrees == "yes"


async def test_after_a_cancel_of_the_run_nothing_is_done_again(client: Client) -> None:
    holds = Holds(held=1)
    async with started(client, holds.world, {"team": team(tasks=CHAIN, result="c")}) as handle:
        await is_done(handle, "c")
        await holds.reached["held"].wait()
        await retry(handle, "a")
        await handle.signal("cancel")
        report = await report_of(handle)
    assert report.status is RunStatus.CANCELLED
    assert report.spend.ledger_agrees == "yes"
