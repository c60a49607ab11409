"""What a store of accounts must do. SQLite does it in `sqlite_store.py`; others can follow.

Amounts are integer micro-USD, times are Unix seconds. Every method is one transaction. At every
moment `spent + reserved <= budget` holds for each account, whatever runs concurrently.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class StoreError(Exception):
    """The store could not do its work (a full disk, a locked database). Nothing was changed."""


class Why(StrEnum):
    """Why a call was not begun, or an account not changed."""

    EXHAUSTED = "budget_exhausted"
    DISABLED = "account_disabled"
    CONFLICT = "idempotency_conflict"
    ANSWER_DROPPED = "answer_dropped"
    BELOW_SPENT = "budget_below_spent"
    NOT_FOUND = "not_found"


class Cause(StrEnum):
    """Why a call that may have reached the upstream has no charge."""

    GATEWAY_DIED = "gateway_died"
    UPSTREAM_BROKE_OFF = "upstream_broke_off"
    MALFORMED_ANSWER = "malformed_answer"
    LEASE_EXPIRED = "lease_expired"


@dataclass(frozen=True, slots=True)
class Account:
    id: str
    name: str
    status: str
    budget: int
    spent: int
    reserved: int
    charges: int
    created_at: float

    @property
    def remaining(self) -> int:
        """What a new call may reserve."""
        return self.budget - self.spent - self.reserved


@dataclass(frozen=True, slots=True)
class NewAccount:
    id: str
    name: str
    key_hash: str
    budget: int
    open_key: str | None
    open_hash: str


@dataclass(frozen=True, slots=True)
class NewCall:
    id: str
    account_id: str
    key: str | None
    body_hash: str
    model: str
    bound: int


@dataclass(frozen=True, slots=True)
class Reserved:
    account: Account


@dataclass(frozen=True, slots=True)
class StoredCall:
    """The call was made before: this is its answer."""

    account: Account
    status: int
    response: bytes


@dataclass(frozen=True, slots=True)
class Pending:
    """Another process is making this very call."""

    account: Account


@dataclass(frozen=True, slots=True)
class StoreRefusal:
    why: Why
    account: Account | None = None


Begun = Reserved | StoredCall | Pending | StoreRefusal


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a billed call is charged, and the answer to keep. `overrun` is the operator's."""

    call_id: str
    prompt_tokens: int
    completion_tokens: int
    amount: int
    estimated: bool
    overrun: int
    status: int
    response: bytes
    price_fingerprint: str


@dataclass(frozen=True, slots=True)
class Charge:
    id: int
    created_at: float
    idempotency_key: str | None
    model: str
    prompt_tokens: int
    completion_tokens: int
    amount: int
    estimated: bool
    overrun: int


class Store(Protocol):
    async def open_account(self, new: NewAccount) -> tuple[Account, bool] | StoreRefusal:
        """The account, and whether it is new. The same open key gives the same account."""

    async def find_account(self, key_hash: str) -> Account | None: ...

    async def account(self, account_id: str) -> Account | None: ...

    async def interrupted(self, account_id: str) -> dict[str, int]:
        """Calls that may have been billed upstream but were not charged, by cause."""

    async def change_account(
        self, account_id: str, budget: int | None, status: str | None
    ) -> Account | StoreRefusal:
        """A new limit, a new status, or both. Disabling drops the stored answers."""

    async def transfer(
        self, from_id: str, to_id: str, amount: int, key: str | None
    ) -> tuple[Account, Account] | StoreRefusal:
        """Moves unspent budget: both accounts change, or neither. Once for each key."""

    async def charges(
        self, account_id: str, after: int, limit: int, idempotency_key: str | None
    ) -> list[Charge]: ...

    async def begin(self, call: NewCall) -> Begun:
        """Reserves the bound, if it fits; or says what became of the call before."""

    async def settle(self, settlement: Settlement) -> Account | None:
        """Charges, releases the rest, keeps the answer. None: the lease ran out before."""

    async def release(self, call_id: str, cause: Cause | None) -> Account | None:
        """Gives the reservation back and opens the key again. None: the lease ran out before."""

    async def release_abandoned(self) -> int:
        """Gives back what dead gateways and run-out leases hold. Returns how many calls."""

    async def refused_models(self) -> dict[tuple[str, str], int]:
        """Overrun by model and price fingerprint: these are not called any more."""

    async def not_ready(self) -> str | None:
        """Why nothing can be written now; None when all is well."""

    async def close(self) -> None: ...
