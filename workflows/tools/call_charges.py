"""What calls of tools cost their agent's account."""

import asyncio
from decimal import Decimal

from temporalio.exceptions import ActivityError, is_cancelled_exception

from durable_agent_team.contracts.activity_interfaces import ToolActivities
from durable_agent_team.contracts.run import Failure
from durable_agent_team.contracts.team import OnExhausted
from durable_agent_team.contracts.tool_call import ChargeEnd
from workflows.activity_executor import ActivityExecutor
from workflows.policies import charge_options
from workflows.state.agent_account import AgentAccount
from workflows.state.progress import Progress
from workflows.task_exceptions import TaskFailed, TaskSkipped
from workflows.tools.one_call import OneCall


class CallCharges:
    """The prices of calls: reserved while they are made, and charged where they have run. A tool
    without a price costs nothing."""

    def __init__(self, progress: Progress, activities: ActivityExecutor) -> None:
        self._progress = progress
        self._activities = activities

    def account(self, one: OneCall) -> AgentAccount:
        return self._progress.accounts[one.work.agent]

    def reserve(self, one: OneCall) -> None:
        price = one.tool.price_usd
        if price is not None:
            self.account(one).begin_tool(one.key, price, one.work.task)

    def end(self, one: OneCall, charged_usd: Decimal) -> None:
        if one.tool.price_usd is not None:
            self.account(one).settle_tool(one.key, charged_usd)

    def lose(self, one: OneCall) -> None:
        """The call may have run: nobody knows yet whether it costs its price."""
        if one.tool.price_usd is not None:
            self.account(one).lose_tool(one.key, one.tool.price_usd)

    def exhausted(self, one: OneCall, failure: Failure) -> Failure:
        """Returns what the call parks with, unless the agent's `on_exhausted` ends its task."""
        self.account(one).exhaust()
        match one.user.caller.on_exhausted:
            case OnExhausted.SKIP:
                raise TaskSkipped(failure)
            case OnExhausted.FAIL:
                raise TaskFailed(failure)
        return failure

    async def settle_or_release(self, one: OneCall, *, settle: bool) -> None:
        """Ends the charge of a call that may have run, after a person has decided about it. Where
        that fails, the account shows what became of it when it is closed."""
        price, account = one.tool.price_usd, self.account(one)
        if price is None or one.key not in account.lost:
            return
        end = ChargeEnd(
            account=self._progress.account_refs[one.work.agent],
            key=one.key,
            amount_usd=price,
            settle=settle,
        )
        try:
            ended = await self._activities.execute(
                ToolActivities.end_charge,
                end,
                charge_options(),
                summary=f"{one.subject} · {'settle' if settle else 'release'} its charge",
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise asyncio.CancelledError from None
            return
        account.settle_tool(one.key, ended.charged_usd)
        one.state.charged_usd = ended.charged_usd
