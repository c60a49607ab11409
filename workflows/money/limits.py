"""The limits of the accounts, as operators change them while a run works."""

import asyncio
from collections.abc import Awaitable
from decimal import Decimal
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

from durable_agent_team.contracts.accounts import BudgetTransfer, SetBudget
from durable_agent_team.contracts.activity_interfaces import AccountActivities
from durable_agent_team.contracts.control import (
    AdjustBudget,
    BudgetAdjusted,
    Transfer,
    Transferred,
)
from workflows.activity_errors import failure_and_spend, refused
from workflows.activity_executor import ActivityExecutor
from workflows.policies import account_options
from workflows.state.agent_account import AgentAccount
from workflows.state.progress import Progress

T = TypeVar("T")


class Limits:
    """Checks new limits against the run's money, and sets them at the account provider."""

    def __init__(self, progress: Progress, activities: ActivityExecutor) -> None:
        self._progress = progress
        self._activities = activities
        self.lock = asyncio.Lock()
        """Held while limits change: what was checked must still hold when they are set."""

    def check_adjust(self, change: AdjustBudget) -> None:
        """Raises ApplicationError, with the figures, where the limit is not possible."""
        account = account_of(self._progress, change.agent)
        if change.raise_only and change.budget_usd < account.budget_usd:
            raise refused(
                f"budget_usd = {change.budget_usd}: {change.agent} has {account.budget_usd} USD"
                " already, and nothing was changed (without `raise_only` the command lowers it)"
            )
        if change.budget_usd < account.spent_usd:
            held = account.spent_usd + account.reserved_usd
            raise refused(
                f"budget_usd = {change.budget_usd}: below what {change.agent} has spent,"
                f" {account.spent_usd} USD (with calls in flight: up to {held} USD)"
            )
        whole = self._progress.team.budget_usd
        others = sum(
            (each.budget_usd for each in self._progress.accounts.values() if each is not account),
            Decimal(0),
        )
        if whole is not None and others + change.budget_usd > whole:
            raise refused(
                f"budget_usd = {change.budget_usd}: with the other agents' {others} USD that is"
                f" above the team's budget_usd, {whole} USD (transfer money from another agent, or"
                " raise the team's limit first)"
            )
        most, raised = change.max_total_usd, change.budget_usd > account.budget_usd
        if most is not None and raised and others + change.budget_usd > most:
            raise refused(
                f"budget_usd = {change.budget_usd}: with the other agents' {others} USD that is"
                f" above max_total_usd, {most} USD, the most that this sender may set (lower"
                " another limit first, or ask an operator)"
            )

    def check_transfer(self, transfer: Transfer) -> None:
        """Raises ApplicationError where the money cannot be moved."""
        source = account_of(self._progress, transfer.from_agent)
        account_of(self._progress, transfer.to_agent)
        if transfer.from_agent == transfer.to_agent:
            raise refused(f"to_agent = {transfer.to_agent!r}: the money is there already")
        if not self._progress.capabilities.transfer:
            raise refused("this account provider cannot move money in one step; use adjust_budget")
        if transfer.amount_usd > source.remaining_usd:
            raise refused(
                f"amount_usd = {transfer.amount_usd}: {transfer.from_agent} has only"
                f" {source.remaining_usd} USD left"
            )
        limits = sum((each.budget_usd for each in self._progress.accounts.values()), Decimal(0))
        if transfer.max_total_usd is not None and limits > transfer.max_total_usd:
            raise refused(
                f"amount_usd = {transfer.amount_usd}: all limits come to {limits} USD, above"
                f" max_total_usd, {transfer.max_total_usd} USD, up to which this sender may decide"
                " (ask an operator)"
            )

    async def adjust(self, change: AdjustBudget) -> BudgetAdjusted:
        """Sets a new limit, at the provider first. Raises ApplicationError."""
        async with self.lock:
            self.check_adjust(change)
            ledger = await _or_refused(
                self._activities.execute_uncounted(
                    AccountActivities.set_budget,
                    SetBudget(
                        account=self._progress.account_refs[change.agent],
                        budget_usd=change.budget_usd,
                    ),
                    account_options(),
                    summary=f"{change.agent} · limit {change.budget_usd} USD",
                )
            )
            self._progress.accounts[change.agent].limit(ledger.budget_usd)
        return self._limit_now(change.agent)

    async def transfer(self, transfer: Transfer) -> Transferred:
        """Changes both limits, in one step at the provider. Raises ApplicationError."""
        async with self.lock:
            self.check_transfer(transfer)
            moved = await _or_refused(
                self._activities.execute_uncounted(
                    AccountActivities.transfer,
                    BudgetTransfer(
                        idempotency_key=str(workflow.uuid4()),
                        source=self._progress.account_refs[transfer.from_agent],
                        target=self._progress.account_refs[transfer.to_agent],
                        amount_usd=transfer.amount_usd,
                    ),
                    account_options(),
                    summary=f"{transfer.from_agent} → {transfer.to_agent} ·"
                    f" {transfer.amount_usd} USD",
                )
            )
            for ledger in moved.ledgers:
                self._progress.accounts[ledger.agent].limit(ledger.budget_usd)
        return Transferred(
            from_agent=self._limit_now(transfer.from_agent),
            to_agent=self._limit_now(transfer.to_agent),
        )

    def _limit_now(self, agent: str) -> BudgetAdjusted:
        account = self._progress.accounts[agent]
        return BudgetAdjusted(
            agent=agent,
            budget_usd=account.budget_usd,
            spent_usd=account.spent_usd,
            remaining_usd=account.remaining_usd,
        )


def account_of(progress: Progress, agent: str) -> AgentAccount:
    """Raises ApplicationError where there is no such agent."""
    account = progress.accounts.get(agent)
    if account is None:
        known = ", ".join(progress.accounts)
        raise refused(f"agent = {agent!r}: no such agent (one of: {known})")
    return account


async def _or_refused(activity: Awaitable[T]) -> T:
    """Turns the error of an update's activity into the error that the update returns."""
    try:
        return await activity
    except ActivityError as error:
        failure, _ = failure_and_spend(error)
        raise ApplicationError(failure.message, type=failure.type, non_retryable=True) from None
