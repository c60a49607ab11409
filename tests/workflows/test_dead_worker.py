"""A worker that dies with an activity in hand: the run does not wait out the activity's timeout."""

import asyncio
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import Client

from contracts.run import RunStatus
from contracts.spend import CloseAccounts, ClosedAccounts, OpenAccounts, OpenedAccounts
from tests.support.fakes import FakeWorld
from tests.workflows.test_story import started, team

FAR_BELOW_THE_TIMEOUTS = 40
"""Seconds. Opening may take 60 and closing 300; a beat that is missing for 5 says enough."""


class Silent(FakeWorld):
    """Its first attempt at `step` is heard of never again."""

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
async def test_accounts_are_seen_to_by_another(client: Client, step: str) -> None:
    world = Silent(step)
    async with started(client, world, {"team": team()}) as handle:
        report: Any = await asyncio.wait_for(handle.result(), FAR_BELOW_THE_TIMEOUTS)
    assert report.status is RunStatus.COMPLETED
    assert world.attempts == 2
    assert all(book.status == "disabled" for book in world.books.values())
