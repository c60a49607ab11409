"""The accounts of a run: opened, limited, read back and closed through activities."""

import asyncio
from collections.abc import Awaitable
from decimal import Decimal
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

from durable_agent_team.contracts.activity_interfaces import AccountActivities
from durable_agent_team.contracts.call import AccountRef
from durable_agent_team.contracts.control import (
    AdjustBudget,
    BudgetAdjusted,
    Transfer,
    Transferred,
)
from durable_agent_team.contracts.spend import (
    AccountBudget,
    BudgetTransfer,
    CloseAccounts,
    LedgerAgreement,
    ModelCatalog,
    OpenAccounts,
    SetBudget,
)
from durable_agent_team.rules.budgets import budgets_usd
from durable_agent_team.rules.catalog import callers, model_of
from workflows.activity_errors import failure_and_spend, refused, run_failure
from workflows.activity_executor import ActivityExecutor
from workflows.policies import (
    ActivityOptions,
    account_options,
    catalog_options,
    reopening_options,
)
from workflows.state.agent_account import AgentAccount
from workflows.state.progress import Progress
from workflows.task_exceptions import was_cancelled

T = TypeVar("T")


class RunAccounts:
    """One account for each agent of the run, the orchestrator's own included."""

    def __init__(self, progress: Progress, activities: ActivityExecutor) -> None:
        self._progress = progress
        self._activities = activities
        self.limits = asyncio.Lock()
        """Held while limits change: what was checked must still hold when they are set."""
        self._opening: OpenAccounts | None = None
        self.refs: dict[str, AccountRef] = {}

    async def read_catalog(self) -> ModelCatalog:
        """The gateway's models and prices. Raises TaskFailed."""
        self._progress.changed()
        try:
            # A local activity: it costs nothing and may run again, so it need not pass the server.
            return await workflow.execute_local_activity_method(
                AccountActivities.read_models, **catalog_options(), summary="models and prices"
            )
        except ActivityError as error:
            raise run_failure(error) from None

    async def open(self, catalog: ModelCatalog) -> None:
        """Opens all accounts in one activity, under limits that together respect the team's.

        Raises TaskFailed.
        """
        budgets = budgets_usd(self._progress.team, self._progress.sources, catalog)
        info = workflow.info()
        self._opening = OpenAccounts(
            run_key=f"{info.workflow_id}/{info.first_execution_run_id}",
            accounts=tuple(
                AccountBudget(agent=name, budget_usd=budget) for name, budget in budgets.items()
            ),
        )
        self._progress.catalog = catalog
        try:
            await self._open(self._opening, account_options(), "open")
        except ActivityError as error:
            raise run_failure(error) from None

    async def _open(self, opening: OpenAccounts, options: ActivityOptions, why: str) -> None:
        opened = await self._activities.execute(
            AccountActivities.open_accounts,
            opening,
            options,
            summary=f"{len(opening.accounts)} accounts · {why}",
        )
        self._progress.capabilities = opened.capabilities
        self.refs = {ref.agent: ref for ref in opened.accounts}
        everyone = callers(self._progress.team)
        for each in opening.accounts:
            model = model_of(everyone[each.agent], self._progress.catalog)
            self._progress.accounts[each.agent] = AgentAccount(each.agent, model, each.budget_usd)

    async def _find_opened(self) -> None:
        """A run that was stopped while it opened its accounts does not know them. Opening them once
        more returns the same ones, so that they can be closed."""
        if self._opening is None or self.refs:
            return
        try:
            await self._open(self._opening, reopening_options(), "find")
        except ActivityError as error:
            failure, _ = failure_and_spend(error)
            workflow.logger.error("accounts may be left open: %s", failure.message)

    def check_adjust(self, change: AdjustBudget) -> None:
        """Raises ApplicationError, with the figures, where the limit is not possible."""
        account = self.account_of(change.agent)
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
                f" above the team's budget_usd, {whole} USD"
            )

    def check_transfer(self, transfer: Transfer) -> None:
        """Raises ApplicationError where the money cannot be moved."""
        source, _ = self.account_of(transfer.from_agent), self.account_of(transfer.to_agent)
        if transfer.from_agent == transfer.to_agent:
            raise refused(f"to_agent = {transfer.to_agent!r}: the money is there already")
        if not self._progress.capabilities.transfer:
            raise refused("this account provider cannot move money in one step; use adjust_budget")
        if transfer.amount_usd > source.remaining_usd:
            raise refused(
                f"amount_usd = {transfer.amount_usd}: {transfer.from_agent} has only"
                f" {source.remaining_usd} USD left"
            )

    async def adjust(self, change: AdjustBudget) -> BudgetAdjusted:
        """Sets a new limit, at the provider first. Raises ApplicationError."""
        async with self.limits:
            self.check_adjust(change)
            ledger = await _or_refused(
                self._activities.execute_uncounted(
                    AccountActivities.set_budget,
                    SetBudget(account=self.refs[change.agent], budget_usd=change.budget_usd),
                    account_options(),
                    summary=f"{change.agent} · limit {change.budget_usd} USD",
                )
            )
            self._progress.accounts[change.agent].limit(ledger.budget_usd)
        return self._limit_now(change.agent)

    async def transfer(self, transfer: Transfer) -> Transferred:
        """Changes both limits, in one step at the provider. Raises ApplicationError."""
        async with self.limits:
            self.check_transfer(transfer)
            moved = await _or_refused(
                self._activities.execute_uncounted(
                    AccountActivities.transfer,
                    BudgetTransfer(
                        idempotency_key=str(workflow.uuid4()),
                        source=self.refs[transfer.from_agent],
                        target=self.refs[transfer.to_agent],
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

    async def read_back(self, agent: str) -> None:
        """Reads from the ledger what became of calls that gave no answer.

        Where the ledger does not answer, nothing fails: the calls remain in `reserved_usd`, and
        closing the accounts reads it again. A cancellation ends the reading; the caller checks.
        """
        if not self._progress.capabilities.ledger:
            return
        lost = tuple(self._progress.accounts[agent].lost)
        try:
            read = await self._activities.execute(
                AccountActivities.read_ledgers,
                self._accounts_of([agent], known={}),
                account_options(),
                summary=f"{agent} · ledger",
            )
        except ActivityError as error:
            if not was_cancelled():
                failure, _ = failure_and_spend(error)
                workflow.logger.error("%s's ledger was not read: %s", agent, failure.message)
            return
        for ledger in read.ledgers:
            self._progress.accounts[agent].read_back(ledger, lost)

    async def close(self) -> None:
        """Disables every account, and compares each ledger with what the run knows."""
        await self._find_opened()
        progress, accounts = self._progress, self._progress.accounts
        if not accounts:
            return
        for account in accounts.values():
            account.close()
        known = {name: account.spent_usd for name, account in accounts.items()}
        try:
            closed = await self._activities.execute(
                AccountActivities.close_accounts,
                self._accounts_of(list(accounts), known),
                account_options(seconds=300),
                summary=f"{len(accounts)} accounts · close and read back",
            )
        except ActivityError as error:
            failure, _ = failure_and_spend(error)
            workflow.logger.error("accounts were not closed: %s", failure.message)
            progress.ledger_agrees = LedgerAgreement.UNVERIFIABLE
            return
        if progress.capabilities.ledger:
            progress.compare_ledgers(closed.ledgers)
        else:
            progress.ledger_agrees = LedgerAgreement.UNVERIFIABLE

    def account_of(self, agent: str) -> AgentAccount:
        """Raises ApplicationError where there is no such agent."""
        account = self._progress.accounts.get(agent)
        if account is None:
            known = ", ".join(self._progress.accounts)
            raise refused(f"agent = {agent!r}: no such agent (one of: {known})")
        return account

    def _limit_now(self, agent: str) -> BudgetAdjusted:
        account = self._progress.accounts[agent]
        return BudgetAdjusted(
            agent=agent,
            budget_usd=account.budget_usd,
            spent_usd=account.spent_usd,
            remaining_usd=account.remaining_usd,
        )

    def _accounts_of(self, agents: list[str], known: dict[str, Decimal]) -> CloseAccounts:
        return CloseAccounts(
            accounts=tuple(self.refs[agent] for agent in agents),
            known=known,
            capabilities=self._progress.capabilities,
        )


async def _or_refused(activity: Awaitable[T]) -> T:
    """Turns the error of an update's activity into the error that the update returns."""
    try:
        return await activity
    except ActivityError as error:
        failure, _ = failure_and_spend(error)
        raise ApplicationError(failure.message, type=failure.type, non_retryable=True) from None
