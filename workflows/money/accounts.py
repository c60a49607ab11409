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
from durable_agent_team.contracts.names import ORCHESTRATOR_AGENT
from durable_agent_team.contracts.spend import (
    AccountBudget,
    BudgetTransfer,
    CloseAccounts,
    LedgerAgreement,
    ModelCatalog,
    OpenAccounts,
    SetBudget,
)
from durable_agent_team.contracts.team import Caller
from durable_agent_team.rules.bounds import worst_case_usd
from durable_agent_team.rules.catalog import callers, model_of, price_of
from durable_agent_team.rules.prompts import system_text, task_sources
from durable_agent_team.rules.shares import shares
from workflows.activity_errors import refused, understand
from workflows.money.account import AgentAccount
from workflows.policies import ActivityOptions, account_options, finding_options
from workflows.state.progress import Progress
from workflows.tasks.exceptions import was_cancelled

T = TypeVar("T")


class Accounts:
    """One account for each agent of the run, the orchestrator's own included."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.limits = asyncio.Lock()
        """Held while limits change: what was compared must still hold when it is set."""
        self._opening: OpenAccounts | None = None
        self.refs: dict[str, AccountRef] = {}

    async def open(self, catalog: ModelCatalog) -> None:
        """Opens all of them in one activity, under limits that together respect the team's."""
        budgets = budgets_usd(self._progress, catalog)
        info = workflow.info()
        self._opening = OpenAccounts(
            run_key=f"{info.workflow_id}/{info.first_execution_run_id}",
            accounts=tuple(
                AccountBudget(agent=name, budget_usd=budget) for name, budget in budgets.items()
            ),
        )
        self._progress.catalog = catalog
        await self._open(account_options(), "open")

    async def _open(self, options: ActivityOptions, why: str) -> None:
        order = self._opening
        assert order is not None
        self._progress.ordered += 1
        opened = await workflow.execute_activity_method(
            AccountActivities.open_accounts,
            order,
            **options,
            summary=f"{len(order.accounts)} accounts · {why}",
        )
        self._progress.capabilities = opened.capabilities
        self.refs = {ref.agent: ref for ref in opened.accounts}
        everyone = callers(self._progress.team)
        for each in order.accounts:
            model = model_of(everyone[each.agent], self._progress.catalog)
            self._progress.accounts[each.agent] = AgentAccount(each.agent, model, each.budget_usd)

    async def _find_opened(self) -> None:
        """A run that was stopped while it opened its accounts does not know them, and nobody could
        close them: asked for once more, they are the same."""
        if self._opening is None or self.refs:
            return
        try:
            await self._open(finding_options(), "find")
        except ActivityError as error:
            failure, _ = understand(error)
            workflow.logger.error("accounts may be left open: %s", failure.message)

    def must_allow(self, order: AdjustBudget) -> None:
        """Raises ApplicationError where a limit cannot be, with the figures that say why."""
        account = self.known(order.agent)
        if order.budget_usd < account.spent_usd:
            held = account.spent_usd + account.reserved_usd
            raise refused(
                f"budget_usd = {order.budget_usd}: below what {order.agent} has spent,"
                f" {account.spent_usd} USD (with calls in flight: up to {held} USD)"
            )
        whole = self._progress.team.budget_usd
        others = sum(
            (each.budget_usd for each in self._progress.accounts.values() if each is not account),
            Decimal(0),
        )
        if whole is not None and others + order.budget_usd > whole:
            raise refused(
                f"budget_usd = {order.budget_usd}: with the other agents' {others} USD that is"
                f" above the team's budget_usd, {whole} USD"
            )

    def must_allow_transfer(self, order: Transfer) -> None:
        """Raises ApplicationError where there is not so much to move."""
        source, _ = self.known(order.from_agent), self.known(order.to_agent)
        if order.from_agent == order.to_agent:
            raise refused(f"to_agent = {order.to_agent!r}: the money is there already")
        if not self._progress.capabilities.transfer:
            raise refused("this account provider cannot move money in one step; use adjust_budget")
        if order.amount_usd > source.remaining_usd:
            raise refused(
                f"amount_usd = {order.amount_usd}: {order.from_agent} has only"
                f" {source.remaining_usd} USD left"
            )

    async def adjust(self, order: AdjustBudget) -> BudgetAdjusted:
        """A new limit, at the provider first. Raises ApplicationError."""
        async with self.limits:
            self.must_allow(order)
            ledger = await _or_refused(
                workflow.execute_activity_method(
                    AccountActivities.set_budget,
                    SetBudget(account=self.refs[order.agent], budget_usd=order.budget_usd),
                    **account_options(),
                    summary=f"{order.agent} · limit {order.budget_usd} USD",
                )
            )
            self._progress.accounts[order.agent].limit(ledger.budget_usd)
        return self._adjusted(order.agent)

    async def transfer(self, order: Transfer) -> Transferred:
        """Both limits change in one step of the provider's, once. Raises ApplicationError."""
        async with self.limits:
            self.must_allow_transfer(order)
            moved = await _or_refused(
                workflow.execute_activity_method(
                    AccountActivities.transfer,
                    BudgetTransfer(
                        idempotency_key=str(workflow.uuid4()),
                        source=self.refs[order.from_agent],
                        target=self.refs[order.to_agent],
                        amount_usd=order.amount_usd,
                    ),
                    **account_options(),
                    summary=f"{order.from_agent} → {order.to_agent} · {order.amount_usd} USD",
                )
            )
            for ledger in moved.ledgers:
                self._progress.accounts[ledger.agent].limit(ledger.budget_usd)
        return Transferred(
            from_agent=self._adjusted(order.from_agent), to_agent=self._adjusted(order.to_agent)
        )

    async def read_back(self, agent: str) -> None:
        """Asks the ledger what became of calls that gave no answer.

        Without a word from it nothing fails: what is open stays in `reserved_usd`, and the closing
        of the accounts asks again. A cancellation ends the asking; the caller looks for it.
        """
        if not self._progress.capabilities.ledger:
            return
        self._progress.ordered += 1
        lost = tuple(self._progress.accounts[agent].lost)
        try:
            read = await workflow.execute_activity_method(
                AccountActivities.read_ledgers,
                self._order([agent], known={}),
                **account_options(),
                summary=f"{agent} · ledger",
            )
        except ActivityError as error:
            if not was_cancelled():
                failure, _ = understand(error)
                workflow.logger.error("%s's ledger was not read: %s", agent, failure.message)
            return
        for ledger in read.ledgers:
            self._progress.accounts[agent].read_back(ledger, lost)

    async def close(self) -> None:
        """Disables every account and compares each ledger with what the run knows."""
        await self._find_opened()
        accounts = self._progress.accounts
        if not accounts:
            return
        for account in accounts.values():
            account.close()
        known = {name: account.spent_usd for name, account in accounts.items()}
        self._progress.ordered += 1
        try:
            closed = await workflow.execute_activity_method(
                AccountActivities.close_accounts,
                self._order(list(accounts), known),
                **account_options(seconds=300),
                summary=f"{len(accounts)} accounts · close and read back",
            )
        except ActivityError as error:
            failure, _ = understand(error)
            workflow.logger.error("accounts were not closed: %s", failure.message)
            self._progress.ledger_agrees = LedgerAgreement.UNVERIFIABLE
            return
        if not self._progress.capabilities.ledger:
            self._progress.ledger_agrees = LedgerAgreement.UNVERIFIABLE
            return
        for ledger in closed.ledgers:
            accounts[ledger.agent].read_back(ledger)
        self._progress.ledger_usd = sum((each.spent_usd for each in closed.ledgers), Decimal(0))
        agrees = all(accounts[each.agent].agrees_with(each) for each in closed.ledgers)
        self._progress.ledger_agrees = LedgerAgreement.YES if agrees else LedgerAgreement.NO

    def known(self, agent: str) -> AgentAccount:
        """Raises ApplicationError where nobody has this name."""
        account = self._progress.accounts.get(agent)
        if account is None:
            known = ", ".join(self._progress.accounts)
            raise refused(f"agent = {agent!r}: no such agent (one of: {known})")
        return account

    def _adjusted(self, agent: str) -> BudgetAdjusted:
        account = self._progress.accounts[agent]
        return BudgetAdjusted(
            agent=agent,
            budget_usd=account.budget_usd,
            spent_usd=account.spent_usd,
            remaining_usd=account.remaining_usd,
        )

    def _order(self, agents: list[str], known: dict[str, Decimal]) -> CloseAccounts:
        return CloseAccounts(
            accounts=tuple(self.refs[agent] for agent in agents),
            known=known,
            capabilities=self._progress.capabilities,
        )


async def _or_refused(activity: Awaitable[T]) -> T:
    """An update answers with what its activity was refused for."""
    try:
        return await activity
    except ActivityError as error:
        failure, _ = understand(error)
        raise ApplicationError(failure.message, type=failure.type, non_retryable=True) from None


def budgets_usd(progress: Progress, catalog: ModelCatalog) -> dict[str, Decimal]:
    """Each agent's limit: its own, or its share of what the team's budget leaves, in proportion
    to the worst case of its tasks."""
    team = progress.team
    everyone = callers(team)
    given = {name: each.budget_usd for name, each in everyone.items() if each.budget_usd}
    left = (team.budget_usd or Decimal(0)) - sum(given.values(), Decimal(0))
    weights = {
        name: _weight(progress, name, caller, catalog)
        for name, caller in everyone.items()
        if name not in given
    }
    shared = shares(left, weights)
    return {name: given.get(name) or shared[name] for name in everyone}


def _weight(progress: Progress, name: str, caller: Caller, catalog: ModelCatalog) -> Decimal:
    """USD where the price is known, else tokens: comparable within a run either way."""
    team = progress.team
    price = price_of(catalog, caller.model or catalog.default_model or "")
    prompts = []
    for task in team.tasks:
        if task.agent == name:
            agent = team.agents[name]
            sources = task_sources(team, task, progress.sources, {})
            texts = [system_text(agent), task.ask, *(each.text for each in sources)]
            prompts.append(sum(len(text.encode()) for text in texts))
    if name == ORCHESTRATOR_AGENT or not team.tasks:
        prompts.append(len(caller.instructions.encode()))
    rounds = team.max_repairs + 1
    each = [
        worst_case_usd(prompt, caller.max_tokens, price) or Decimal(prompt + caller.max_tokens)
        for prompt in prompts
    ]
    return rounds * sum(each, Decimal(0))
