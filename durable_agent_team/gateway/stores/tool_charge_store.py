"""The interface of a store of tools' charges: what a call of a tool costs its agent's account.

A charge belongs to an account and has a key that its client makes. Its amount is known before the
tool runs: it is reserved whole, and then settled whole or released. No lease ends it, and no death
of a gateway, since the tool runs elsewhere. Amounts are integer micro-USD.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from durable_agent_team.gateway.stores.account_records import Account


class ToolChargeState(StrEnum):
    RESERVED = "reserved"
    """The tool may run, or may have run."""
    SETTLED = "settled"
    """It is in the ledger."""
    RELEASED = "released"
    """The tool did not run. The key can be reserved again."""


class ToolChargeRefusal(StrEnum):
    EXHAUSTED = "budget_exhausted"
    DISABLED = "account_disabled"
    OTHER_AMOUNT = "idempotency_conflict"
    SETTLED = "charge_settled"
    RELEASED = "charge_released"
    CHANGED = "changed_since"
    """Another request for the charge came after its client had read it."""
    NOT_FOUND = "not_found"
    """Nothing was reserved under the key."""
    NO_ACCOUNT = "no_account"


@dataclass(frozen=True, slots=True)
class ToolChargeKey:
    account_id: str
    key: str


@dataclass(frozen=True, slots=True)
class ToolCharge:
    amount: int
    what: str
    """What is paid for, for people: the tool's name."""
    state: ToolChargeState = ToolChargeState.RESERVED
    revision: int = 0
    """How often it was reserved and released, repetitions included. Nothing under the key is 0."""


@dataclass(frozen=True, slots=True)
class ToolChargeReply:
    """The charge and its account after the request. With a `refusal` it was not carried out."""

    charge: ToolCharge | None
    account: Account | None
    refusal: ToolChargeRefusal | None = None
    changed: bool = False
    """Whether this request changed the charge: its repetition does not."""


class ToolChargeStore(Protocol):
    """Every method is one transaction, and raises `StoreError` where the database fails. What
    changes a charge is on disk when it returns. With a `revision`, it is carried out only if the
    charge still has it."""

    async def reserve(
        self, key: ToolChargeKey, charge: ToolCharge, revision: int | None = None
    ) -> ToolChargeReply:
        """Reserves the amount if it fits. What is reserved or settled under the key stays so."""

    async def settle(self, key: ToolChargeKey) -> ToolChargeReply:
        """Charges the account, also a disabled one: the tool has run."""

    async def release(self, key: ToolChargeKey, revision: int | None = None) -> ToolChargeReply: ...

    async def read(self, key: ToolChargeKey) -> ToolCharge | None: ...
