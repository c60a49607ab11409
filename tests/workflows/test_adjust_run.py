"""A run gets another `max_parallel` or budget. Deadlines are tested in `test_deadline.py`."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from durable_agent_team.contracts.call import CallRequest
from durable_agent_team.contracts.run import RunStatus
from tests.support.fakes import FakeWorld
from tests.workflows.runs import CHAIN, Gate, parked, spend, started, state, team, two_tasks, until
from tests.workflows.test_concurrency import wide

Handle = WorkflowHandle[Any, Any]


class Turnstile:
    """Holds the calls, and releases them one by one."""

    def __init__(self) -> None:
        self.world = FakeWorld(self)
        self._go = asyncio.Semaphore(0)

    async def __call__(self, _: CallRequest) -> None:
        await self._go.acquire()

    def let(self, count: int) -> None:
        for _ in range(count):
            self._go.release()

    async def until(self, active: int) -> None:
        async with asyncio.timeout(30):
            while self.world.active != active:
                await asyncio.sleep(0.02)


async def refusal(handle: Handle, change: Any) -> str:
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await handle.execute_update("adjust_run", change)
    assert isinstance(refused.value.cause, ApplicationError)
    return refused.value.cause.message


async def test_more_places_are_taken_at_once(client: Client) -> None:
    turnstile = Turnstile()
    changed = team(tasks=wide(6), result="t0", max_parallel=2, final="handoff")
    async with started(client, turnstile.world, {"team": changed}) as handle:
        await turnstile.until(active=2)
        answer = await handle.execute_update("adjust_run", {"max_parallel": 5})
        assert answer == {"max_parallel": 5, "deadline": None, "budget_usd": None}
        await turnstile.until(active=5)
        assert (await state(handle)).max_parallel == 5
        turnstile.let(6)
        assert (await handle.result()).status is RunStatus.COMPLETED
    assert turnstile.world.most_active == 5


async def test_fewer_places_cancel_nothing_and_delay_new_calls(client: Client) -> None:
    turnstile = Turnstile()
    changed = team(tasks=wide(8), result="t0", max_parallel=4, final="handoff")
    async with started(client, turnstile.world, {"team": changed}) as handle:
        await turnstile.until(active=4)
        await handle.signal("adjust", {"kind": "adjust_run", "max_parallel": 1})
        await asyncio.sleep(0.3)
        assert turnstile.world.active == 4
        turnstile.let(3)
        await turnstile.until(active=1)
        await asyncio.sleep(0.3)
        assert len(turnstile.world.calls) == 4
        turnstile.world.most_active = 0
        turnstile.let(5)
        report = await handle.result()
    assert report.status is RunStatus.COMPLETED
    assert len(turnstile.world.calls) == 8
    assert turnstile.world.most_active == 1
    assert {each.task.calls for each in report.outcomes} == {1}


async def test_a_heartbeat_follows_max_parallel_at_the_start_of_its_call(client: Client) -> None:
    turnstile = Turnstile()
    changed = team(tasks=wide(3), result="t0", max_parallel=1, final="handoff")
    async with started(client, turnstile.world, {"team": changed}) as handle:
        await turnstile.until(active=1)
        await handle.execute_update("adjust_run", {"max_parallel": 300})
        turnstile.let(3)
        await handle.result()
        beats = [
            event.activity_task_scheduled_event_attributes.heartbeat_timeout.ToSeconds()
            async for event in handle.fetch_history_events()
            if event.activity_task_scheduled_event_attributes.activity_type.name == "call_agent"
        ]
    assert beats == [1, 4, 4]


async def test_the_teams_budget_can_be_raised_and_lowered_to_the_agents_limits(
    client: Client,
) -> None:
    changed = two_tasks({}, budget_usd="6.1")
    async with started(client, FakeWorld(), {"team": changed}) as handle:
        await until(handle, parked)
        more = {"agent": "research", "budget_usd": "0.2"}
        with pytest.raises(WorkflowUpdateFailedError):
            await handle.execute_update("adjust_budget", more)
        answer = await handle.execute_update("adjust_run", {"budget_usd": "7"})
        assert Decimal(answer["budget_usd"]) == 7
        message = await refusal(handle, {"budget_usd": "6"})
        assert message == (
            "budget_usd = 6: the agents' limits come to 6.015 USD"
            " (lower them first, with adjust_budget; 0.01 USD is spent)"
        )
        message = await refusal(handle, {"budget_usd": "0.009"})
        assert message == (
            "budget_usd = 0.009: below what the run has spent, 0.01 USD,"
            " and the agents' limits come to 6.015 USD"
        )
        await handle.execute_update("adjust_run", {"budget_usd": "6.015"})
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await handle.execute_update("adjust_budget", more)
        assert "above the team's budget_usd, 6.015 USD" in str(refused.value.cause)
        await handle.execute_update("adjust_run", {"budget_usd": "6.2"})
        await handle.execute_update("adjust_budget", more)
        assert (await handle.result()).status is RunStatus.COMPLETED
        assert (await spend(handle)).total.budget_usd == Decimal("6.2")


async def test_a_change_that_is_wrong_in_part_changes_nothing(client: Client) -> None:
    gate = Gate("a")
    async with started(client, FakeWorld(gate), {"team": team(tasks=CHAIN)}) as handle:
        await gate.reached.wait()
        change = {"max_parallel": 3, "deadline": "2999-01-01T00:00:00Z", "budget_usd": 1}
        assert "budget_usd = 1: " in await refusal(handle, {**change, "deadline": None})
        assert "ten years ahead" in await refusal(handle, {**change, "budget_usd": 100})
        now = await state(handle)
        assert (now.max_parallel, now.deadline) == (20, None)
        with pytest.raises(WorkflowUpdateFailedError):
            await handle.execute_update("adjust_budget", {"agent": "research", "budget_usd": -1})
        await handle.execute_update("adjust_budget", {"agent": "research", "budget_usd": 2000})
        gate.open.set()
        await handle.result()


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ([{}], "nothing to change: give one or more of max_parallel, deadline, budget_usd"),
        ([], "nothing to change"),
        ([{"max_parallel": 0}], "max_parallel = 0: "),
        ([{"max_parallel": 501}], "less than or equal to 500"),
        ([{"max_parallel": "many"}], "max_parallel = 'many': "),
        ([{"max_parallel": None}], "max_parallel = null: leave the key out"),
        ([{"budget_usd": None}], "budget_usd = null: leave the key out"),
        ([{"budget_usd": 0}], "budget_usd = 0: "),
        ([{"budget_usd": "0.0000001"}], "6 decimal places"),
        ([{"budget_usd": 6.99}], "the agents' limits come to 7 USD (lower them first"),
        ([{"deadline": "2026-12-31T18:00:00"}], "its offset from UTC is missing (write it like"),
        ([{"deadline": "2026-12-31"}], "its offset from UTC is missing"),
        ([{"deadline": "tomorrow"}], "deadline = 'tomorrow': this is not an ISO-8601 time"),
        ([{"deadline": 1798740000}], "this is not an ISO-8601 time"),
        (
            [{"deadline": "2020-01-01T00:00:00Z"}],
            "deadline = 2020-01-01T00:00:00+00:00: is in the past",
        ),
        ([{"deadline": "0001-01-01T00:00:00+14:00"}], "is in the past"),
        ([{"deadline": "9999-12-31T23:59:59-14:00"}], "more than ten years ahead"),
        ([{"agents": 1}], "agents: no such key"),
        ([{"max_parallel": 1}, 1], "one argument is expected, got 2"),
    ],
)
async def test_wrong_limits_are_refused_with_the_reason(
    held_run: tuple[Handle, FakeWorld], payload: list[Any], words: str
) -> None:
    handle, _ = held_run
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await handle.execute_update("adjust_run", args=payload)
    assert isinstance(refused.value.cause, ApplicationError)
    assert words in refused.value.cause.message
    now = await state(handle)
    assert (now.max_parallel, now.deadline) == (20, None)
