"""The interface of an account provider: to support another one, implement it."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from pydantic import SecretStr

from durable_agent_team.contracts.accounts import Capabilities
from durable_agent_team.contracts.base import round_up
from durable_agent_team.contracts.call import AccountRef
from durable_agent_team.contracts.ledger import Charge, Ledger, PossiblyBilledCall

ZERO = Decimal(0)


@dataclass(frozen=True)
class AccountOrder:
    """An account to be opened; the same key returns the same account."""

    name: str
    budget_usd: Decimal
    idempotency_key: str


@dataclass(frozen=True)
class OpenedAccount:
    account_id: str
    api_key: SecretStr
    capabilities: Capabilities


@dataclass(frozen=True)
class AccountState:
    """An account as its provider reports it, in USD; None for what it does not report."""

    account_id: str
    status: str
    budget_usd: Decimal | None
    spent_usd: Decimal | None
    reserved_usd: Decimal
    possibly_billed_calls: int = 0
    possibly_billed_usd: Decimal = ZERO
    revision: int | None = None
    """For `set_budget`: another one after each change of its limit or status."""


def ledger_of(account: AccountRef, state: AccountState, known_usd: Decimal = ZERO) -> Ledger:
    """The ledger of an account without its charges. Where the provider does not report an amount,
    `budget_usd` is 0 and `spent_usd` is what is known."""
    given_up: dict[str, Any] = {}
    if state.possibly_billed_calls:
        given_up["possibly_billed_calls"] = state.possibly_billed_calls
        given_up["possibly_billed_usd"] = state.possibly_billed_usd
    return Ledger(
        agent=account.agent,
        account_id=account.account_id,
        status=state.status,
        budget_usd=round_up(state.budget_usd or ZERO),
        spent_usd=round_up(state.spent_usd if state.spent_usd is not None else known_usd),
        reserved_usd=round_up(state.reserved_usd),
        **given_up,
    )


class AccountProvider(Protocol):
    """Every method raises `AtxpError`, and each may be repeated without harm."""

    @property
    def parent_key(self) -> SecretStr:
        """For what only the operator may read, such as a protected price list."""

    async def open(self, name: str, budget_usd: Decimal, idempotency_key: str) -> OpenedAccount:
        """Refuses (`LimitRefused`) rather than open an account with another limit."""

    async def open_all(self, orders: Sequence[AccountOrder]) -> list[OpenedAccount] | None:
        """As `open` of each, in one request. None where the provider has no such request, or
        refused it: `open` of each then says why."""

    async def set_budget(
        self, account_id: str, budget_usd: Decimal, revision: int | None = None
    ) -> AccountState:
        """Refuses (`LimitRefused`) below what is spent or reserved. Enables the account. With a
        `revision`, refuses (`is_changed`) if the account has another one."""

    async def transfer(
        self, source_id: str, target_id: str, amount_usd: Decimal, idempotency_key: str
    ) -> tuple[AccountState, AccountState]:
        """Both limits change, once, or neither. Refuses (`LimitRefused`) more than is unspent."""

    async def read(self, account_id: str) -> AccountState: ...

    async def close(self, account_id: str, wait_seconds: float | None) -> AccountState:
        """Disables; where the provider can (`wait_seconds`), answers when nothing is reserved."""

    async def close_all(
        self, account_ids: Sequence[str], wait_seconds: float
    ) -> list[AccountState] | None:
        """As `close` of each, in one request. None as with `open_all`."""

    async def charges(self, account_id: str, limit: int | None = None) -> tuple[Charge, ...]:
        """The settled lines, oldest first: all of them, or at most `limit`."""

    async def possibly_billed(self, account_id: str) -> tuple[PossiblyBilledCall, ...]:
        """The calls that were given up after they were sent, oldest first. Only for an account that
        has some."""
