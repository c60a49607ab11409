"""The ledger is read for calls without an answer, whether it shows them, or does not answer."""

import asyncio

import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError

from durable_agent_team.contracts.accounts import CloseAccounts, ClosedAccounts
from durable_agent_team.contracts.call import CallRequest
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.run import RunReport, RunStatus, TaskStatus
from durable_agent_team.contracts.spend import LedgerAgreement, SpendReport
from tests.support.fakes import COST, FakeWorld
from tests.support.run_reports import report_of
from tests.workflows.runs import failing, started, state, team


class SilentLedger(FakeWorld):
    """Its ledger does not answer while accounts are open, or refuses with `refuses`."""

    def __init__(self, *, refuses: bool = False) -> None:
        super().__init__(_nonsense)
        self.reading = asyncio.Event()
        self.refuses = refuses

    @activity.defn
    async def read_ledgers(self, order: CloseAccounts) -> ClosedAccounts:
        self.reading.set()
        if self.refuses:
            raise ApplicationError("no", type=ErrorType.UNAUTHORIZED, non_retryable=True)
        while True:
            activity.heartbeat()
            await asyncio.sleep(0.2)


def _nonsense(call: CallRequest) -> None:
    """After which the run does not know whether it was billed."""
    if call.task == "a":
        raise ApplicationError("{", type=ErrorType.MALFORMED_ANSWER, non_retryable=True)


@pytest.mark.parametrize("native", [False, True])
async def test_a_run_cancelled_during_the_reading_closes_and_reports(
    client: Client, native: bool
) -> None:
    world = SilentLedger()
    async with started(client, world, {"team": failing(team())}) as handle:
        await asyncio.wait_for(world.reading.wait(), 30)
        await (handle.cancel() if native else handle.signal("cancel"))
        report = await report_of(handle, 30)
    assert report.status is RunStatus.CANCELLED
    assert report.outcomes[0].task.status is TaskStatus.CANCELLED
    assert {book.status for book in world.books.values()} == {"disabled"}


async def test_a_task_cancelled_during_the_reading_is_cancelled(client: Client) -> None:
    world = SilentLedger()
    changed = failing(team(on_task_failure="cancel_rest"))
    changed["tasks"][2]["missing_inputs"] = "accept"
    async with started(client, world, {"team": changed}) as handle:
        await asyncio.wait_for(world.reading.wait(), 30)
        await handle.execute_update("cancel_task", {"task": "a"})
        report = await asyncio.wait_for(handle.result(), 30)
    assert report.status is RunStatus.COMPLETED
    assert report.outcomes[0].task.status is TaskStatus.CANCELLED


async def test_a_ledger_that_cannot_be_read_costs_the_run_nothing_more(client: Client) -> None:
    world = SilentLedger(refuses=True)
    async with started(client, world, {"team": failing(team())}) as handle:
        with pytest.raises(WorkflowFailureError) as caught:
            await asyncio.wait_for(handle.result(), 30)
    error = caught.value.cause
    assert isinstance(error, ApplicationError)
    report = RunReport.model_validate(error.details[0])
    assert report.failure is not None
    assert report.failure.type == ErrorType.MALFORMED_ANSWER
    assert report.spend.ledger_agrees is LedgerAgreement.YES
    assert {book.status for book in world.books.values()} == {"disabled"}


@pytest.mark.parametrize("last", [ErrorType.FORBIDDEN, ErrorType.KEY_CONFLICT])
async def test_a_call_that_was_paid_and_then_refused_is_in_the_spend_at_once(
    client: Client, last: ErrorType
) -> None:
    """A worker paid for it and died. The run continues, and its figures agree with the ledger."""
    hold, world = asyncio.Event(), FakeWorld()

    async def rule(call: CallRequest) -> None:
        if call.task == "b":
            await hold.wait()
        elif call.task == "a" and not world.books["research"].charges:
            world.book(call)
            raise ApplicationError("it is gone", type=ErrorType.UPSTREAM_UNAVAILABLE)
        elif call.task == "a":
            raise ApplicationError("no", {"attempts": 2}, type=last, non_retryable=True)

    world.rule = rule
    async with started(client, world, {"team": failing(team())}) as handle:
        async with asyncio.timeout(30):
            while "DependencyFailed" not in str(await handle.query("state")):
                await asyncio.sleep(0.03)
        shown = SpendReport.model_validate(await handle.query("spend")).agents[1]
        assert shown.spent_usd == shown.failed_attempts_usd == COST
        assert (await state(handle)).tasks[0].spent_usd == COST, "the task's share of it"
        hold.set()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
