"""The accounts of a run: opened, read back and closed through activities."""

import asyncio
from decimal import Decimal
from typing import Any, Final, Protocol, TypeVar

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception
from temporalio.types import MethodAsyncSingleParam

from durable_agent_team.contracts.accounts import (
    AccountBudget,
    CloseAccounts,
    ClosedAccounts,
    OpenAccounts,
)
from durable_agent_team.contracts.activity_interfaces import AccountActivities
from durable_agent_team.contracts.model_catalog import ModelCatalog, ReadModels
from durable_agent_team.contracts.names import ORCHESTRATOR_AGENT
from durable_agent_team.contracts.spend import LedgerAgreement
from durable_agent_team.rules.budgets import budgets_usd
from durable_agent_team.rules.catalog import (
    callers,
    calls_orchestrator,
    model_of,
    models_of,
    price_of,
)
from workflows.activity_errors import failure_and_spend, is_final, run_failure
from workflows.activity_executor import ActivityExecutor
from workflows.command_turns import NotIssued
from workflows.policies import (
    REOPENING_ATTEMPTS,
    ActivityOptions,
    account_options,
    catalog_options,
    local_options,
    reopening_options,
)
from workflows.state.agent_account import AgentAccount
from workflows.state.progress import Progress
from workflows.task_exceptions import TaskFailed, was_cancelled

LOST_TASK_EVENTS: Final = 6
"""In the first workflow task of an execution where an earlier attempt at it was lost: three before
it, its end, and two of the next. Each message before it counts, too: then there may have been none.
"""
FINDS_UNRECORDED: Final = "find-unrecorded-accounts"
"""Runs that ended before this patch did not look for accounts of a lost workflow task."""
LOST_LATER_EVENTS: Final = 11
"""The same from the workflow task that scheduled the activity which reads the catalog: its end with
a marker and the activity, the activity's start and end, two of the next task, its loss, the
cancel, two of the last. A run that was told something meanwhile may have as many without a loss."""
LOOK_ATTEMPTS: Final = 4
"""Some seconds: perhaps the catalog has never arrived, and the gateway is still away."""
FINDS_AFTER_CATALOG: Final = "find-accounts-after-catalog"
"""Before this patch, only the loss of the first workflow task was seen."""
CATALOG_IN_ACTIVITY: Final = "read-models-in-activity"
"""Before this patch, a workflow task lasted until the gateway answered or the run failed."""

P = TypeVar("P")
R = TypeVar("R")


class Execute(Protocol):
    """Either way of `ActivityExecutor` to execute an activity."""

    async def __call__(
        self,
        activity: MethodAsyncSingleParam[Any, P, R],
        argument: P,
        options: ActivityOptions,
        *,
        summary: str,
    ) -> R: ...


class RunAccounts:
    """One account for each agent of the run, the orchestrator's own included."""

    def __init__(self, progress: Progress, activities: ActivityExecutor) -> None:
        self._progress = progress
        self._activities = activities
        self._opening: OpenAccounts | None = None
        self._lost_first_task = workflow.info().get_current_history_length() >= LOST_TASK_EVENTS
        self._asked_for_catalog: int | None = None
        """The length of the history then."""
        self._reading = 0

    async def read_catalog(self, attempts: int | None = None) -> ModelCatalog:
        """The gateway's models and prices. Raises TaskFailed."""
        self._progress.changed()
        wanted = ReadModels(names=models_of(self._progress.team))
        return await self._read_models(wanted, attempts, "models and prices")

    async def look_up(self, model: str) -> None:
        """Adds a model to a partial catalog, where the gateway can call it. Raises TaskFailed."""
        wanted = ReadModels(names=(model,))
        found = await self._read_models(wanted, None, f"the price of {model}"[:100])
        known = self._progress.catalog.models
        more = [each for each in found.models if each.model == model]
        if more and price_of(self._progress.catalog, model) is None:
            models = (*known, *more)
            self._progress.catalog = self._progress.catalog.model_copy(update={"models": models})

    async def _read_models(
        self, wanted: ReadModels, attempts: int | None, summary: str
    ) -> ModelCatalog:
        """By a local activity: it costs nothing and may run again, so it need not pass the server.
        While the gateway is away, by a regular one: its attempts can be seen, and no workflow task
        lasts as long as the outage."""
        self._asked_for_catalog = workflow.info().get_current_history_length()
        read, options = AccountActivities.read_models, catalog_options(attempts)
        try:
            if not self._activities.counts_all:
                return await self._read_uncounted(wanted, options, summary)
            return await self._activities.execute_locally(read, wanted, options, summary=summary)
        except FailureError as error:
            raise run_failure(error) from None

    async def _read_uncounted(
        self, wanted: ReadModels, options: ActivityOptions, summary: str
    ) -> ModelCatalog:
        """In a run of format 1, which does not count the local activity."""
        read = AccountActivities.read_models
        try:
            return await workflow.execute_local_activity_method(
                read, wanted, **local_options(), summary=summary
            )
        except FailureError as error:
            is_over = is_cancelled_exception(error) or is_final(error)
            if is_over or not workflow.patched(CATALOG_IN_ACTIVITY):
                raise
        return await self._activities.execute(read, wanted, options, summary=summary)

    async def open(self, catalog: ModelCatalog) -> None:
        """Opens all accounts in one activity, under limits that together respect the team's.

        Raises TaskFailed.
        """
        self._opening = self._order(catalog)
        try:
            await self._open(self._executor(), self._opening, account_options(), "open")
        except FailureError as error:
            raise run_failure(error) from None

    def _order(self, catalog: ModelCatalog) -> OpenAccounts:
        budgets = self._budgets(catalog)
        info = workflow.info()
        self._progress.catalog = catalog
        return OpenAccounts(
            run_key=f"{info.workflow_id}/{info.first_execution_run_id}",
            accounts=tuple(
                AccountBudget(agent=name, budget_usd=budget) for name, budget in budgets.items()
            ),
        )

    def _budgets(self, catalog: ModelCatalog) -> dict[str, Decimal]:
        """An orchestrator that is never called gets no account. In runs that began with earlier
        versions it has an account, or a share that nobody gets."""
        team, sources = self._progress.team, self._progress.sources
        is_idle = catalog.accounts_locally and not calls_orchestrator(team)
        if is_idle and catalog.no_idle_share:
            return budgets_usd(team, sources, catalog)
        budgets = budgets_usd(team, sources, catalog, idle_orchestrator=True)
        if is_idle:
            del budgets[ORCHESTRATOR_AGENT]
        return budgets

    def _executor(self) -> Execute:
        """Local activities, unless this run began with an earlier version."""
        if self._progress.catalog.accounts_locally:
            return self._activities.execute_locally
        return self._activities.execute

    async def _open(
        self, execute: Execute, opening: OpenAccounts, options: ActivityOptions, why: str
    ) -> None:
        opened = await execute(
            AccountActivities.open_accounts,
            opening,
            options,
            summary=f"{len(opening.accounts)} accounts · {why}",
        )
        self._progress.capabilities = opened.capabilities
        self._progress.account_refs = {ref.agent: ref for ref in opened.accounts}
        everyone = callers(self._progress.team)
        for each in opening.accounts:
            model = model_of(everyone[each.agent], self._progress.catalog)
            self._progress.accounts[each.agent] = AgentAccount(each.agent, model, each.budget_usd)

    async def _find_opened(self) -> None:
        """A run that was stopped while it opened its accounts does not know them. Opening them once
        more returns the same ones, so that they can be closed."""
        if self._progress.account_refs:
            return
        if self._opening is None and self._lost_first_task and workflow.patched(FINDS_UNRECORDED):
            await self._find_order(REOPENING_ATTEMPTS)
        elif self._opening is None and self._may_have_lost_a_later_task():
            await self._find_order(LOOK_ATTEMPTS)
        if self._opening is None:
            return
        try:
            await self._open(self._activities.execute, self._opening, reopening_options(), "find")
        except FailureError as error:
            failure, _ = failure_and_spend(error)
            workflow.logger.error("accounts may be left open: %s", failure.message)

    def _may_have_lost_a_later_task(self) -> bool:
        asked, now = self._asked_for_catalog, workflow.info().get_current_history_length()
        is_long = asked is not None and now - asked >= LOST_LATER_EVENTS
        return is_long and workflow.patched(FINDS_AFTER_CATALOG)

    async def _find_order(self, attempts: int) -> None:
        """What a worker that died in its workflow task may have ordered, and nobody knows: local
        activities are recorded when their workflow task ends."""
        if not self._progress.stopping:  # it has failed before it would open any
            return
        try:
            self._opening = self._order(await self.read_catalog(attempts))
        except TaskFailed as failed:
            workflow.logger.error("accounts may be left open: %s", failed.failure.message)

    async def read_back(self, agent: str) -> None:
        """Reads from the ledger what became of calls that gave no answer.

        Where the ledger does not answer, nothing fails: the calls remain in `reserved_usd`, and
        closing the accounts reads it again. A cancellation ends the reading; the caller checks.
        """
        if not self._progress.capabilities.ledger:
            return
        lost = tuple(self._progress.accounts[agent].lost)
        self._reading += 1
        try:
            read = await self._activities.execute(
                AccountActivities.read_ledgers,
                self._accounts_of([agent], known={}),
                account_options(),
                summary=f"{agent} · ledger",
            )
        except NotIssued:
            return
        except FailureError as error:
            if not was_cancelled():
                failure, _ = failure_and_spend(error)
                workflow.logger.error("%s's ledger was not read: %s", agent, failure.message)
            return
        finally:
            self._reading -= 1
        for ledger in read.ledgers:
            self._progress.accounts[agent].read_back(ledger, lost)

    async def observe(self, agent: str) -> None:
        """Reads what the agent's programs have cost so far. A ledger that does not answer changes
        nothing: it is read again."""
        account = self._progress.accounts[agent]
        try:
            read = await self._activities.look(
                AccountActivities.read_ledgers,
                self._accounts_of([agent], {agent: account.spent_usd}),
                summary=f"{agent} · ledger",
            )
        except FailureError as error:
            if is_cancelled_exception(error):
                raise asyncio.CancelledError from None
            return
        for ledger in read.ledgers:
            account.observe(ledger)

    @property
    def is_reading(self) -> bool:
        """A ledger is being read, for a call whose end is not recorded before that."""
        return self._reading > 0

    async def close(self) -> None:
        """Disables every account, and compares each ledger with what the run knows."""
        await self._find_opened()
        progress, accounts = self._progress, self._progress.accounts
        if not accounts:
            return
        for account in accounts.values():
            account.close()
        known = {name: account.spent_usd for name, account in accounts.items()}
        closing = self._accounts_of(list(accounts), known)
        try:
            closed = await self._close(self._executor(), closing)
            waits = any(ledger.reserved_usd for ledger in closed.ledgers)
            if waits and progress.catalog.accounts_locally:
                # Calls are in flight at the gateway, for longer than a local activity waits.
                closed = await self._close(self._activities.execute, closing)
        except FailureError as error:
            failure, _ = failure_and_spend(error)
            workflow.logger.error("accounts were not closed: %s", failure.message)
            progress.ledger_agrees = LedgerAgreement.UNVERIFIABLE
            return
        if progress.capabilities.ledger:
            progress.compare_ledgers(closed.ledgers)
        else:
            progress.ledger_agrees = LedgerAgreement.UNVERIFIABLE

    async def _close(self, execute: Execute, closing: CloseAccounts) -> ClosedAccounts:
        return await execute(
            AccountActivities.close_accounts,
            closing,
            account_options(seconds=300),
            summary=f"{len(closing.accounts)} accounts · close and read back",
        )

    def _accounts_of(self, agents: list[str], known: dict[str, Decimal]) -> CloseAccounts:
        return CloseAccounts(
            accounts=tuple(self._progress.account_refs[agent] for agent in agents),
            known=known,
            capabilities=self._progress.capabilities,
        )
