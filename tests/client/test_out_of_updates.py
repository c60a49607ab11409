"""A run that has had as many updates as Temporal allows is still steered, by the signal."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from temporalio import activity
from temporalio.client import Client

from durable_agent_team.cli.command_client import _client_errors as client_errors
from durable_agent_team.cli.exit_codes import CommandError, ExitCode
from durable_agent_team.client.exceptions import SentAsSignal, UpdateRefused
from durable_agent_team.client.run_control import RunControl
from durable_agent_team.contracts.accounts import Capabilities, SetBudget
from durable_agent_team.contracts.ledger import Ledger
from durable_agent_team.contracts.run import Refusal, RunStatus
from tests.support.fakes import FakeWorld
from tests.support.temporal import server
from tests.workflows.runs import CHAIN, Gate, spend, started, state, team, until

MOST = 1


class CannotContinue(FakeWorld):
    """A run with a call in flight at a provider that would charge for it again cannot continue as
    new, and so does not get rid of its old updates."""

    def __init__(self, gate: Gate) -> None:
        super().__init__(gate)
        self.capabilities = Capabilities(replay=False, ledger=True, transfer=True)


class SlowLimits(FakeWorld):
    """Sets a limit only when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.open = asyncio.Event()

    @activity.defn
    async def set_budget(self, request: SetBudget) -> Ledger:
        await self.open.wait()
        return await super().set_budget(request)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def few_updates() -> AsyncIterator[Client]:
    """A server with a limit of `MOST` updates for each run, instead of 2,000."""
    async with server(settings={"history.maxTotalUpdates": MOST}) as environment:
        yield environment.client


async def test_commands_go_as_a_signal_and_say_so(few_updates: Client) -> None:
    gate = Gate("a")
    async with started(few_updates, CannotContinue(gate), {"team": team(tasks=CHAIN)}) as handle:
        await gate.reached.wait()
        control = RunControl(few_updates, handle.id)
        assert (await control.adjust_run(max_parallel=2)).max_parallel == 2
        with pytest.raises(SentAsSignal, match="no more updates for it, so the limits went as"):
            await control.adjust_run(max_parallel=3)
        assert (await state(handle)).max_parallel == 3
        with pytest.raises(SentAsSignal, match="the new budget"):
            await control.adjust_budget("research", 2)  # type: ignore[arg-type]
        accounts = {each.agent: each for each in (await spend(handle)).agents}
        assert accounts["research"].budget_usd == 2
        with pytest.raises(UpdateRefused, match="agent = 'nobody'"):
            await control.adjust_budget("nobody", 2)  # type: ignore[arg-type]
        gate.open.set()
        assert (await handle.result()).status is RunStatus.COMPLETED


async def test_a_signal_that_was_sent_is_reported_as_sent_whatever_happens_then(
    few_updates: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate("a")
    async with started(few_updates, CannotContinue(gate), {"team": team(tasks=CHAIN)}) as handle:
        await gate.reached.wait()
        control = RunControl(few_updates, handle.id)
        await control.adjust_run(max_parallel=2)
        reads = iter([control._refusals])

        async def before_it_alone() -> tuple[Refusal, ...]:
            for read in reads:
                return await read()
            raise TimeoutError

        monkeypatch.setattr(control, "_refusals", before_it_alone)
        with pytest.raises(SentAsSignal, match="the new budget"):
            await control.adjust_budget("research", 2)  # type: ignore[arg-type]
        gate.open.set()
        await handle.result()


async def test_an_approval_goes_as_a_signal(few_updates: Client) -> None:
    """While a new limit is being set, the run cannot continue as new."""
    request = {"team": team(tasks=CHAIN, approve_plan=True)}
    world = SlowLimits()
    async with started(few_updates, world, request) as handle:
        await until(handle, lambda now: bool(now.waiting))
        await handle.signal(
            "adjust", {"kind": "adjust_budget", "agent": "research", "budget_usd": 2}
        )
        control = RunControl(few_updates, handle.id)
        await control.adjust_run(max_parallel=2)
        with pytest.raises(UpdateRefused, match="nothing of this name waits"):
            await control.approve("answer")
        with pytest.raises(SentAsSignal, match="the approval"):
            await control.approve("plan")
        world.open.set()
        assert (await handle.result()).status is RunStatus.COMPLETED


def test_the_command_line_reports_it_and_ends_with_0() -> None:
    with pytest.raises(CommandError) as ended, client_errors():
        raise SentAsSignal("run-1", "the new budget")
    assert ended.value.code == ExitCode.DONE
    assert "went as the signal `adjust`" in str(ended.value)
