"""An account as its provider sees it: its sums, and its charges line by line."""

from datetime import datetime
from decimal import Decimal
from typing import Literal

from pydantic import Field

from durable_agent_team.contracts.base import Message, SignedUsd, Usd
from durable_agent_team.contracts.team import Identifier


class Charge(Message):
    """One settled line of a ledger."""

    idempotency_key: str | None = Field(None, max_length=200)
    amount_usd: Usd
    prompt_tokens: int = 0
    completion_tokens: int = 0
    estimated: bool = False
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    saved_usd: SignedUsd = Decimal(0)
    """What caching saved; negative if it cost more than it saved."""
    price_source: str = Field("", max_length=200)
    """Which prices the charge was made at."""
    scope: str | None = Field(None, max_length=100)
    """The work that a program's call belongs to; None for other calls."""
    attempt: int | None = Field(None, ge=1)
    """Which attempt of the scope paid it."""
    kind: Literal["call", "tool"] = "call"
    what: str = Field("", max_length=200)
    """The tool, for the charge of a tool; else empty."""


class PossiblyBilledCall(Message):
    """A request that the gateway gave up after it was sent. The account does not pay it; the
    operator may have to."""

    idempotency_key: str | None = Field(None, max_length=200)
    bound_usd: Usd | None = None
    """The most that it can have cost; None where the gateway did not record it."""
    cause: str = Field("", max_length=60)
    at: datetime | None = None
    scope: str | None = Field(None, max_length=100)
    attempt: int | None = Field(None, ge=1)


class Ledger(Message):
    """An account as its provider sees it. Its lines, `charges` and `possibly_billed`, only where
    they were asked for."""

    agent: Identifier
    account_id: str
    status: str = Field(max_length=40)
    budget_usd: Usd
    spent_usd: Usd
    reserved_usd: Usd = Decimal(0)
    charges: tuple[Charge, ...] = ()
    possibly_billed_calls: int = 0
    """Requests that the gateway gave up after they were sent. Not a part of `spent_usd`."""
    possibly_billed_usd: Usd = Decimal(0)
    """The most that the operator may have to pay for these."""
    possibly_billed: tuple[PossiblyBilledCall, ...] = ()

    @property
    def charged_usd(self) -> Decimal:
        """The sum of its lines."""
        return sum((charge.amount_usd for charge in self.charges), Decimal(0))

    def by_key(self) -> dict[str, Decimal]:
        """What it charged for each call, in USD: for those of a program, under their scope; lines
        without a key stand together, under ""."""
        amounts: dict[str, Decimal] = {}
        for charge in self.charges:
            key = charge.scope or charge.idempotency_key or ""
            amounts[key] = amounts.get(key, Decimal(0)) + charge.amount_usd
        return amounts
