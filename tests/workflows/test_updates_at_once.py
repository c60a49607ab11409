"""As many updates as Temporal lets a run have at once."""

import asyncio
from decimal import Decimal

import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowUpdateRPCTimeoutOrCancelledError

from durable_agent_team.contracts.accounts import SetBudget
from durable_agent_team.contracts.control import AdjustBudget, BudgetAdjusted
from durable_agent_team.contracts.ledger import Ledger
from durable_agent_team.contracts.run import RunStatus
from tests.support.fakes import FakeWorld
from tests.workflows.runs import CHAIN, Gate, spend, started, state, team

AT_ONCE = 10


class Held(FakeWorld):
    """No new limit takes effect until the test allows it."""

    def __init__(self, gate: Gate) -> None:
        super().__init__(gate)
        self.asked = asyncio.Event()
        self.allowed = asyncio.Event()

    @activity.defn
    async def set_budget(self, request: SetBudget) -> Ledger:
        self.asked.set()
        await self.allowed.wait()
        return await super().set_budget(request)


async def test_ten_updates_at_once_are_all_answered(client: Client) -> None:
    gate = Gate("a")
    world = Held(gate)
    async with started(client, world, {"team": team(tasks=CHAIN, budget_usd=50)}) as handle:
        await gate.reached.wait()

        async def adjust(dollars: int) -> BudgetAdjusted:
            order = AdjustBudget(agent="research", budget_usd=Decimal(dollars))
            answer = await handle.execute_update("adjust_budget", order)
            return BudgetAdjusted.model_validate(answer)

        updates = [asyncio.create_task(adjust(dollars)) for dollars in range(2, 2 + AT_ONCE)]
        await world.asked.wait()
        await asyncio.sleep(1)  # until the server has accepted all of them
        assert (await asyncio.wait_for(state(handle), 10)).status is RunStatus.WORKING
        with pytest.raises(WorkflowUpdateRPCTimeoutOrCancelledError):  # the SDK tries again
            await asyncio.wait_for(adjust(40), 3)
        world.allowed.set()
        answers = await asyncio.wait_for(asyncio.gather(*updates), 60)
        assert sorted(each.budget_usd for each in answers) == list(range(2, 2 + AT_ONCE))
        [now] = [each for each in (await spend(handle)).agents if each.agent == "research"]
        assert now.budget_usd in range(2, 2 + AT_ONCE)
        gate.open.set()
        assert (await handle.result()).status is RunStatus.COMPLETED
