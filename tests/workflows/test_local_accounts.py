"""Models are read, and accounts opened and closed, by local activities, and by regular ones when
those take long."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.exceptions import ApplicationError

from durable_agent_team.contracts.accounts import (
    CloseAccounts,
    ClosedAccounts,
    OpenAccounts,
    OpenedAccounts,
)
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.model_catalog import ModelCatalog, ReadModels
from durable_agent_team.contracts.run import RunStatus
from durable_agent_team.contracts.spend import LedgerAgreement
from durable_agent_team.worker_sdk.waiting_queries import LONGEST_WAIT
from tests.support.fakes import FakeWorld
from tests.workflows.runs import failure_of, result_of, started, team
from workflows import policies

LAST = {
    "tasks": [{"id": "a", "agent": "research", "ask": "List the facts."}],
    "result": "a",
    "final": "handoff",
}


async def scheduled(handle: WorkflowHandle[Any, Any]) -> list[str]:
    """The types of the regular activities of a run."""
    return [
        event.activity_task_scheduled_event_attributes.activity_type.name
        async for event in handle.fetch_history_events()
        if event.HasField("activity_task_scheduled_event_attributes")
    ]


async def test_a_run_of_one_call_has_one_regular_activity(client: Client) -> None:
    world = FakeWorld()
    async with started(client, world, {"team": team(**LAST)}) as handle:
        report = await handle.result()
        assert await scheduled(handle) == ["call_agent"]
        events = [event async for event in handle.fetch_history_events()]
    assert report.status is RunStatus.COMPLETED
    assert report.spend.ledger_agrees is LedgerAgreement.YES
    assert {book.status for book in world.books.values()} == {"disabled"}
    assert len(events) <= 20


class Slow(FakeWorld):
    """Takes longer over `step` than a local activity may; fails in its first attempts with `error`,
    if there is one."""

    def __init__(self, step: str, error: ApplicationError | None = None, failing: int = 2) -> None:
        super().__init__()
        self.step, self.error, self.failing = step, error, failing
        self.attempts = 0

    async def _trouble(self, step: str) -> None:
        if step != self.step:
            return
        self.attempts += 1
        if self.attempts <= self.failing:
            if self.error is not None:
                raise self.error
            await asyncio.sleep(30)

    async def wanted(self, order: ReadModels) -> ModelCatalog:
        await self._trouble("read_models")
        return await super().wanted(order)

    @activity.defn
    async def open_accounts(self, order: OpenAccounts) -> OpenedAccounts:
        await self._trouble("open_accounts")
        return await super().open_accounts(order)

    @activity.defn
    async def close_accounts(self, order: CloseAccounts) -> ClosedAccounts:
        await self._trouble("close_accounts")
        return await super().close_accounts(order)


def unavailable(final: bool = False) -> ApplicationError:
    kind = ErrorType.UNAUTHORIZED if final else ErrorType.UPSTREAM_UNAVAILABLE
    return ApplicationError("not now", {"attempts": 1}, type=kind, non_retryable=final)


@pytest.mark.parametrize("step", ["read_models", "open_accounts", "close_accounts"])
@pytest.mark.parametrize("error", [None, unavailable()])
async def test_what_takes_long_becomes_a_regular_activity(
    client: Client, step: str, error: ApplicationError | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    brief: policies.BriefOptions = {
        **policies.local_options(),
        "start_to_close_timeout": timedelta(seconds=0.3),
    }
    for module in ("activity_executor", "money.run_accounts"):
        monkeypatch.setattr(f"workflows.{module}.local_options", lambda: brief)
    world = Slow(step, error)
    async with started(client, world, {"team": team(**LAST)}) as handle:
        report = await asyncio.wait_for(handle.result(), 30)
        assert step in await scheduled(handle)
    assert report.status is RunStatus.COMPLETED
    assert {book.status for book in world.books.values()} == {"disabled"}


@pytest.mark.parametrize("options", [policies.local_options(), policies.look_options()])
def test_every_local_activity_has_a_last_attempt(options: policies.BriefOptions) -> None:
    """Without one, the SDK attempts it again after each `start_to_close_timeout`, forever."""
    assert options["retry_policy"].maximum_attempts > 0


@pytest.mark.parametrize("options", [policies.local_options(), policies.look_options()])
def test_brief_ones_end_before_queries_stop_waiting(options: policies.BriefOptions) -> None:
    """And before their workflow task has to be kept alive, after 8 s, without their markers."""
    attempts = options["retry_policy"].maximum_attempts
    pauses = options["retry_policy"].initial_interval * (2**attempts - 1)
    longest = options["start_to_close_timeout"] * attempts + pauses
    assert longest < timedelta(seconds=LONGEST_WAIT)


async def test_an_error_that_is_final_ends_the_run_at_once(client: Client) -> None:
    world = Slow("open_accounts", unavailable(final=True), failing=9)
    failure = await failure_of(client, world, {"team": team(**LAST)})
    assert ErrorType.UNAUTHORIZED in failure.message
    assert world.attempts == 2, "once to open, and once to find what may be open"


class Reserving(FakeWorld):
    """Something is still reserved when the accounts are closed for the first time."""

    closings = 0

    @activity.defn
    async def close_accounts(self, order: CloseAccounts) -> ClosedAccounts:
        closed = await super().close_accounts(order)
        self.closings += 1
        if self.closings > 1:
            return closed
        held = {"reserved_usd": Decimal("0.5")}
        ledgers = tuple(ledger.model_copy(update=held) for ledger in closed.ledgers)
        return ClosedAccounts(ledgers=ledgers)


async def test_a_regular_activity_waits_for_what_is_reserved(client: Client) -> None:
    world = Reserving()
    async with started(client, world, {"team": team(**LAST)}) as handle:
        report = await handle.result()
        assert (await scheduled(handle))[-1] == "close_accounts"
    assert world.closings == 2
    assert report.spend.ledger_agrees is LedgerAgreement.YES


@pytest.mark.parametrize(
    ("changes", "called"),
    [
        (LAST, False),
        ({**LAST, "final": "orchestrator"}, True),
        ({**LAST, "review_rounds": 1}, True),
    ],
)
async def test_an_orchestrator_that_is_never_called_has_no_account(
    client: Client, changes: dict[str, Any], called: bool
) -> None:
    def rule(call: Any) -> Any:
        return world.answer(call, '{"redo": [], "drop": [], "add": []}')

    world = FakeWorld(rule)
    report = await result_of(client, world, {"team": team(**changes)})
    assert ("orchestrator" in world.books) is called
    assert ("orchestrator" in {line.agent for line in report.spend.agents}) is called


async def test_the_budget_is_shared_by_those_who_are_called(client: Client) -> None:
    world = FakeWorld()
    agents = {name: {"role": "Researcher"} for name in ("research", "editor")}
    shared = team(agents=agents, orchestrator={}, budget_usd="0.1", final="handoff")
    report = await result_of(client, world, {"team": shared})
    shares = {line.agent: line.budget_usd for line in report.spend.agents}
    assert shares.keys() == {"research", "editor"}
    assert Decimal("0.099998") <= sum(shares.values()) <= Decimal("0.1")


async def test_a_run_of_an_earlier_version_keeps_its_regular_activities(client: Client) -> None:
    world = FakeWorld()
    world.catalog = world.catalog.model_copy(update={"accounts_locally": False})
    async with started(client, world, {"team": team(**LAST)}) as handle:
        await handle.result()
        assert await scheduled(handle) == ["open_accounts", "call_agent", "close_accounts"]
    assert "orchestrator" in world.books
