"""Account activities: open, change, read and close, many accounts at once (docs/adr/001)."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, TypeVar

from temporalio import activity

from activities.catalog_cache import CatalogCache
from activities.error_translation import translated
from activities.heartbeats import confirm_attempt, earlier_spend, heartbeating, time_left
from activities.labelling import about_agent, label_activity
from durable_agent_team.atxp.chat_client import ChatClient
from durable_agent_team.atxp.exceptions import ProviderRefused
from durable_agent_team.atxp.named_models import read_named_models
from durable_agent_team.atxp.provider import (
    AccountOrder,
    AccountProvider,
    AccountState,
    OpenedAccount,
    ledger_of,
)
from durable_agent_team.atxp.sealing import Sealer
from durable_agent_team.contracts.accounts import (
    AccountBudget,
    BudgetTransfer,
    Capabilities,
    CloseAccounts,
    ClosedAccounts,
    OpenAccounts,
    OpenedAccounts,
    SetBudget,
)
from durable_agent_team.contracts.activity_interfaces import AccountActivities
from durable_agent_team.contracts.call import AccountRef
from durable_agent_team.contracts.ledger import Charge, Ledger
from durable_agent_team.contracts.model_catalog import ModelCatalog, ReadModels
from durable_agent_team.contracts.provider_info import (
    catalog_of,
    has_charges,
    has_scopes,
    max_call_seconds,
    model_prices,
)
from durable_agent_team.contracts.telemetry_labels import AGENT

AT_ONCE = 32
MAX_CHARGES = 8_000
"""Lines in one answer, so that it stays well below Temporal's 2 MB."""
MAX_READ = 100_000
"""Lines of one account that are read: a program's many calls become one line for each scope."""
SUMMED = (
    *("amount_usd", "saved_usd", "prompt_tokens", "completion_tokens"),
    *("cached_tokens", "cache_write_tokens", "reasoning_tokens"),
)
MAX_TRIES = 10
"""To set a limit, while other changes of the same account come before it."""
LONGEST_WAIT_SECONDS = 30
MARGIN_SECONDS = 5

In = TypeVar("In", AccountBudget, AccountRef)
Out = TypeVar("Out")


class Accounts(AccountActivities):
    """`default_model`, from the worker's settings, is part of the catalog."""

    def __init__(
        self,
        provider: AccountProvider,
        models_reader: ChatClient,
        sealer: Sealer,
        default_model: str | None,
    ) -> None:
        self._provider = provider
        self._models = models_reader
        self._sealer = sealer
        self._default_model = default_model
        self._catalog = CatalogCache(self._read_catalog)

    @activity.defn
    async def read_models(self, wanted: ReadModels) -> ModelCatalog:
        """Prices and context windows. An endpoint without a model list: an unpriced catalog."""
        label_activity()
        with translated(earlier_spend()):
            catalog = await self._catalog.catalog()
            if not wanted.names or not catalog.priced:
                return catalog
            return await read_named_models(self._models, catalog, wanted.names)

    @activity.defn
    async def open_accounts(self, order: OpenAccounts) -> OpenedAccounts:
        """One account for each agent, in the given order. The same run key: the same accounts."""
        async with at_work():
            opened = await self._open_all(order)
        kept = [capabilities for _, capabilities in opened]
        return OpenedAccounts(
            accounts=tuple(account for account, _ in opened),
            capabilities=Capabilities(
                hard_limit=all(one.hard_limit for one in kept),
                replay=all(one.replay for one in kept),
                ledger=all(one.ledger for one in kept),
                transfer=all(one.transfer for one in kept),
                charges=all(one.charges for one in kept),
            ),
        )

    @activity.defn
    async def set_budget(self, order: SetBudget) -> Ledger:
        """A new limit. `LimitRefused` below what is spent or reserved.

        It has no key by which the provider would know it again: an attempt that was given up does
        not set it, since the operator may have set another one after it.
        """
        async with at_work(order.account.agent):
            return ledger_of(order.account, await self._set_budget(order))

    async def _set_budget(self, order: SetBudget) -> AccountState:
        """A worker that freezes after the confirmation and continues after another change is
        refused: the account's revision is not the one that was read before the confirmation."""
        account_id = order.account.account_id
        for tries in range(1, MAX_TRIES + 1):
            revision = await self._revision(account_id)
            await confirm_attempt()
            try:
                return await self._provider.set_budget(account_id, order.budget_usd, revision)
            except ProviderRefused as refused:
                if not refused.is_changed or tries == MAX_TRIES:
                    raise
        raise AssertionError("unreachable")

    async def _revision(self, account_id: str) -> int | None:
        try:
            return (await self._provider.read(account_id)).revision
        except ProviderRefused as refused:
            if refused.status in (404, 405, 501):  # ATXP's published API cannot read an account
                return None
            raise

    @activity.defn
    async def transfer(self, order: BudgetTransfer) -> ClosedAccounts:
        """Moves unspent money between two accounts: both or neither. The two, source first."""
        async with at_work():
            states = await self._provider.transfer(
                order.source.account_id,
                order.target.account_id,
                order.amount_usd,
                order.idempotency_key,
            )
        accounts = (order.source, order.target)
        return ClosedAccounts(
            ledgers=tuple(
                ledger_of(account, state) for account, state in zip(accounts, states, strict=True)
            )
        )

    @activity.defn
    async def read_ledgers(self, order: CloseAccounts) -> ClosedAccounts:
        """The ledgers as they are. A provider without ledgers: what the run knows itself."""
        async with at_work():
            states = await each(
                order.accounts, lambda account: self._read(account, order.capabilities)
            )
            return await self._ledgers(order, states)

    @activity.defn
    async def close_accounts(self, order: CloseAccounts) -> ClosedAccounts:
        """Disables all accounts, waits until nothing is reserved, reads the ledgers back.

        If something is still reserved when the activity is about to time out, the ledger's
        `reserved_usd` reports it; closing again continues the wait.
        """
        until = time.monotonic() + time_left(MARGIN_SECONDS)
        async with at_work():
            states = await self._close_all(order, until)
            return await self._ledgers(order, states)

    async def _read_catalog(self) -> ModelCatalog:
        page = await self._read_models()
        models, scopes = model_prices(page) or (), has_scopes(page)
        catalog = catalog_of(
            models, self._default_model, max_call_seconds(page), scopes, has_charges(page)
        )
        now = {"accounts_locally": True, "no_idle_share": True, "spend_signals": True}
        return catalog.model_copy(update=now)

    async def _read_models(self) -> Mapping[str, Any]:
        """The response of `GET /models`; empty if the provider has no such list."""
        try:
            return await self._models.read_models_page(None)
        except ProviderRefused as refused:
            if refused.status in (401, 403):
                return await self._read_guarded_models()
            if refused.status in (404, 405, 501):
                return {}
            raise

    async def _read_guarded_models(self) -> Mapping[str, Any]:
        """Reads the list with the parent key. If that is refused too, the catalog is empty."""
        try:
            return await self._models.read_models_page(self._provider.parent_key)
        except ProviderRefused as refused:
            if refused.status in (401, 403, 404, 405, 501):
                return {}
            raise

    async def _open_all(self, order: OpenAccounts) -> list[tuple[AccountRef, Capabilities]]:
        """In one request if there are several accounts and the provider has such a request."""
        if len(order.accounts) > 1:
            orders = [_order_of(order.run_key, one) for one in order.accounts]
            opened = await self._provider.open_all(orders)
            if opened is not None:
                pairs = zip(order.accounts, opened, strict=True)
                return [self._sealed(one.agent, account) for one, account in pairs]
        return await each(order.accounts, lambda one: self._open(order.run_key, one))

    async def _open(self, run_key: str, one: AccountBudget) -> tuple[AccountRef, Capabilities]:
        order = _order_of(run_key, one)
        opened = await self._provider.open(order.name, order.budget_usd, order.idempotency_key)
        return self._sealed(one.agent, opened)

    def _sealed(self, agent: str, opened: OpenedAccount) -> tuple[AccountRef, Capabilities]:
        account = AccountRef(
            agent=agent,
            account_id=opened.account_id,
            sealed_key=self._sealer.seal(opened.api_key, opened.account_id),
        )
        return account, opened.capabilities

    async def _read(self, account: AccountRef, capabilities: Capabilities) -> AccountState:
        if not capabilities.ledger:
            return AccountState(account.account_id, "unknown", None, None, Decimal(0))
        return await self._provider.read(account.account_id)

    async def _close_all(self, order: CloseAccounts, until: float) -> list[AccountState]:
        """In one request, as `_open_all`; what is still reserved after it is waited for singly."""
        accounts, capabilities = order.accounts, order.capabilities
        states: list[AccountState] | None = None
        if len(accounts) > 1 and capabilities.ledger:
            wait = max(0.0, min(LONGEST_WAIT_SECONDS, until - time.monotonic()))
            ids = [account.account_id for account in accounts]
            states = await self._provider.close_all(ids, wait)
        if states is None:
            return await each(accounts, lambda one: self._close(one, capabilities, until))
        closed = {state.account_id: state for state in states}
        late = [one for one in accounts if closed[one.account_id].reserved_usd]
        if late and time.monotonic() < until - 1:
            rest = await each(late, lambda one: self._close(one, capabilities, until))
            closed |= {state.account_id: state for state in rest}
        return [closed[one.account_id] for one in accounts]

    async def _close(
        self, account: AccountRef, capabilities: Capabilities, until: float
    ) -> AccountState:
        if not capabilities.ledger:
            return await self._provider.close(account.account_id, None)
        while True:
            wait = max(0.0, min(LONGEST_WAIT_SECONDS, until - time.monotonic()))
            state = await self._provider.close(account.account_id, wait)
            if not state.reserved_usd or time.monotonic() >= until - 1:
                return state

    async def _ledgers(
        self, order: CloseAccounts, states: Sequence[AccountState]
    ) -> ClosedAccounts:
        """Charges line by line only where the provider's sum is not the one that the run knows."""
        ledgers = []
        left = MAX_CHARGES
        for account, state in zip(order.accounts, states, strict=True):
            known = order.known.get(account.agent, Decimal(0))
            if not order.capabilities.ledger:
                state = AccountState(
                    state.account_id, state.status, state.budget_usd, known, Decimal(0)
                )
            ledger = ledger_of(account, state, known)
            if order.capabilities.ledger and ledger.spent_usd != known and left > 0:
                with about_agent(account.agent):
                    lines = await self._provider.charges(account.account_id, MAX_READ)
                charges = by_scope(lines)[:left]
                left -= len(charges)
                ledger = ledger.model_copy(update={"charges": charges})
            ledgers.append(ledger)
        return ClosedAccounts(ledgers=tuple(ledgers))


def by_scope(charges: Sequence[Charge]) -> tuple[Charge, ...]:
    """The same sums, with one line for all calls of a scope, where its first one was."""
    folded: dict[tuple[str, int], Charge] = {}
    for number, charge in enumerate(charges):
        place = (charge.scope, 0) if charge.scope else ("", number)
        before = folded.get(place)
        folded[place] = charge if before is None else _added(before, charge)
    return tuple(folded.values())


def _added(one: Charge, other: Charge) -> Charge:
    added = {name: getattr(one, name) + getattr(other, name) for name in SUMMED}
    keys = {"idempotency_key": None, "attempt": None}
    return one.model_copy(update={**added, **keys, "estimated": one.estimated or other.estimated})


def _order_of(run_key: str, one: AccountBudget) -> AccountOrder:
    key = hashlib.sha256(f"{run_key}\0{one.agent}".encode()).hexdigest()
    return AccountOrder(f"{one.agent}@{run_key}"[:100], one.budget_usd, f"open-{key}")


@asynccontextmanager
async def at_work(agent: str | None = None) -> AsyncIterator[None]:
    """Around an activity's work: labelled, with heartbeats, its errors translated."""
    label_activity({AGENT: agent} if agent else None)
    with translated(earlier_spend()):
        async with heartbeating():
            yield


async def each(items: Sequence[In], work: Callable[[In], Awaitable[Out]]) -> list[Out]:
    """Does the work for all accounts, `AT_ONCE` at a time, each labelled with its agent.

    Returns the results in order; the first error cancels the others.
    """
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(item: In) -> Out:
        async with gate:
            with about_agent(item.agent):
                return await work(item)

    tasks = [asyncio.ensure_future(one(item)) for item in items]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
