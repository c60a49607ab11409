"""A worker dies during an activity, or is too busy to send heartbeats."""

import asyncio
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import Client

from durable_agent_team.contracts.accounts import (
    Capabilities,
    CloseAccounts,
    ClosedAccounts,
    OpenAccounts,
    OpenedAccounts,
)
from durable_agent_team.contracts.call import CallRequest, CallResult
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.run import RunStatus
from tests.support.fakes import COST, FakeWorld
from tests.support.run_reports import report_of
from tests.support.sandbox import fresh_sandbox
from tests.workflows.runs import failing, failure_of, result_of, started, team
from workflows import policies

FAR_BELOW_THE_TIMEOUTS = 40
"""Seconds. Opening may take 60 and closing 300, but a missing heartbeat is noticed after 5."""


class Silent(FakeWorld):
    """Never completes its first attempt at `step`."""

    def __init__(self, step: str) -> None:
        super().__init__()
        self.step = step
        self.attempts = 0

    async def _die_once(self, step: str) -> None:
        if step == self.step:
            self.attempts += 1
            if self.attempts == 1:
                await asyncio.Event().wait()

    @activity.defn
    async def open_accounts(self, order: OpenAccounts) -> OpenedAccounts:
        await self._die_once("open_accounts")
        return await super().open_accounts(order)

    @activity.defn
    async def close_accounts(self, order: CloseAccounts) -> ClosedAccounts:
        await self._die_once("close_accounts")
        return await super().close_accounts(order)


@pytest.mark.parametrize("step", ["open_accounts", "close_accounts"])
async def test_accounts_are_opened_and_closed_by_another_worker(client: Client, step: str) -> None:
    world = Silent(step)
    async with started(client, world, {"team": team()}) as handle:
        report: Any = await asyncio.wait_for(handle.result(), FAR_BELOW_THE_TIMEOUTS)
    assert report.status is RunStatus.COMPLETED
    assert world.attempts == 2
    assert all(book.status == "disabled" for book in world.books.values())


class Busy(FakeWorld):
    """Sends no heartbeat in the first `silent` attempts."""

    def __init__(self, silent: int) -> None:
        super().__init__()
        self.silent = silent

    @activity.defn
    async def call_agent(self, call: CallRequest) -> CallResult:
        if (
            call.task == "a"
            and len([each for each in self.calls if each.task == "a"]) < self.silent
        ):
            self.calls.append(call)
            await asyncio.Event().wait()
        return await super().call_agent(call)

    @property
    def keys(self) -> list[str]:
        return [call.idempotency_key for call in self.calls if call.task == "a"]


ONE_TASK = {
    "agents": {"research": {"role": "Researcher", "budget_usd": 1, "retry": {"max_attempts": 1}}},
    "tasks": [{"id": "a", "agent": "research", "ask": "List the facts."}],
    "result": "a",
}


async def test_a_busy_worker_fails_no_task(client: Client) -> None:
    """Only the agent's own failures count against its attempts, and nothing is paid twice."""
    world = Busy(silent=2)
    report = await result_of(client, world, {"team": team(**ONE_TASK)})
    assert report.status is RunStatus.COMPLETED
    assert len(world.keys) == 3
    assert len(set(world.keys)) == 1, "one call, one key"
    assert report.outcomes[0].task.calls == 1
    assert report.spend.total.spent_usd == 2 * COST == report.spend.ledger_usd


async def test_it_is_bounded(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policies, "PATIENCE", (1, 2))
    world = Busy(silent=9)
    with fresh_sandbox():
        failure = await failure_of(client, world, {"team": failing(team(**ONE_TASK))})
    assert len(world.keys) == 2
    assert ErrorType.WORKER_LOST in failure.message
    assert all(book.status == "disabled" for book in world.books.values())


async def test_a_provider_that_cannot_replay_is_not_called_again(client: Client) -> None:
    world = Busy(silent=9)
    world.capabilities = Capabilities(replay=False, ledger=True)
    failure = await failure_of(client, world, {"team": failing(team(**ONE_TASK))})
    assert ErrorType.WORKER_LOST in failure.message
    assert len(world.keys) == 1, "a second attempt could be paid a second time"


async def test_a_cancel_ends_it_between_two_rounds(client: Client) -> None:
    world = Busy(silent=9)
    async with started(client, world, {"team": team(**ONE_TASK)}) as handle:
        while len(world.keys) < 2:
            await asyncio.sleep(0.1)
        await handle.signal("cancel", {"reason": "enough"})
        report = await report_of(handle, FAR_BELOW_THE_TIMEOUTS)
    assert report.status is RunStatus.CANCELLED
    assert len(world.keys) == 2
