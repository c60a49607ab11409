"""What a call of a tool costs the agent's account: reserved before the call, settled after it."""

from decimal import Decimal
from typing import Protocol

from pydantic import SecretStr
from temporalio import activity

from activities.tools.exceptions import ToolBroke
from durable_agent_team.atxp.exceptions import AtxpError, ProviderRefused
from durable_agent_team.atxp.sealing import Sealer
from durable_agent_team.atxp.tool_charges import RELEASED_CODE, ToolCharge
from durable_agent_team.contracts.tool_call import ChargeEnd, ToolOrder

NOT_RESERVED = 404
NO_CHARGES = (405, 501)
NEVER_CALLED = "a call that was not made"


class Charges(Protocol):
    """Charges of an account, by its key. Each may be repeated with the same `charge`. They raise
    `AtxpError`."""

    async def read(self, key: SecretStr, charge: str) -> ToolCharge: ...

    async def reserve(
        self,
        key: SecretStr,
        charge: str,
        amount_usd: Decimal,
        what: str,
        revision: int | None = None,
    ) -> ToolCharge: ...

    async def settle(self, key: SecretStr, charge: str) -> object: ...

    async def release(
        self, key: SecretStr, charge: str, revision: int | None = None
    ) -> ToolCharge: ...


class Charge:
    """The charge of one call. Does nothing for a tool without a price.

    An attempt calls `look`, has itself confirmed, then calls `reserve`. A worker that freezes after
    the confirmation, or after `reserve`, and continues after another attempt has reserved the
    price, is refused.
    """

    def __init__(self, charges: Charges, sealer: Sealer, order: ToolOrder) -> None:
        self._charges = charges
        self._order = order
        self._key: SecretStr | None = None
        self._sealer = sealer
        self._revision: int | None = None
        self.is_begun = False
        """The account was asked to reserve the price."""
        self.charged_usd = Decimal(0)
        """What the account has paid, or keeps reserved since the tool may have run."""
        self.was_settled = False
        """The account had paid for this call before it was reserved here."""

    @property
    def has_price(self) -> bool:
        return self._order.account is not None and bool(self._order.tool.price_usd)

    async def look(self) -> None:
        """Raises `AtxpError`: then nothing may be called."""
        account = self._order.account
        if account is None or not self.has_price:
            return
        self._key = self._sealer.unseal(account.sealed_key, account.account_id)
        self._revision = await _revision(self._charges, self._key, self._order.key)

    async def reserve(self) -> None:
        """After `look`. Raises `AtxpError`, and `ToolBroke` where another attempt was first: then
        nothing may be called."""
        key, price, revision = self._key, self._order.tool.price_usd, self._revision
        if key is None or not price:
            return
        self.is_begun = True
        self._revision = None if revision is None else revision + 1  # also if no answer comes
        source = self._order.facts.source
        try:
            charge = await self._charges.reserve(key, self._order.key, price, source, revision)
        except ProviderRefused as refused:
            if not refused.is_changed:
                raise
            self.is_begun = False
            raise ToolBroke(
                "another attempt of this call has reserved its price: nothing was sent"
            ) from None
        self._revision = charge.revision
        self.was_settled = charge.is_settled
        self.charged_usd = price

    async def settle(self) -> None:
        """The tool has run. Where the provider is away, the amount stays reserved, and is settled
        when the account is closed: the result is not given up for it."""
        if self._key is None or not self.is_begun:
            return
        try:
            await self._charges.settle(self._key, self._order.key)
        except AtxpError as error:
            if isinstance(error, ProviderRefused) and error.code == RELEASED_CODE:
                self.charged_usd = Decimal(0)
                activity.logger.error("a tool has run, and its price was given back: %s", error)
                return
            activity.logger.warning("the charge of a tool stays reserved: %s", error)

    async def release(self) -> None:
        """The tool has not run."""
        if self._key is None or not self.is_begun:
            return
        try:
            await self._charges.release(self._key, self._order.key, self._revision)
        except AtxpError as error:
            activity.logger.warning("the charge of a tool stays reserved: %s", error)
            return
        self.is_begun, self.charged_usd = False, Decimal(0)


async def _revision(charges: Charges, key: SecretStr, charge: str) -> int | None:
    try:
        return (await charges.read(key, charge)).revision
    except ProviderRefused as refused:
        if refused.status in (NOT_RESERVED, *NO_CHARGES):  # `reserve` says what the latter mean
            return 0
        raise


async def ended_charge(charges: Charges, sealer: Sealer, end: ChargeEnd) -> Decimal:
    """Settles or releases what a call has reserved; returns what the account has paid for it. A
    call that was lost before it reserved anything costs nothing. Raises `AtxpError`."""
    key = sealer.unseal(end.account.sealed_key, end.account.account_id)
    try:
        if end.settle:
            await charges.settle(key, end.key)
            return end.amount_usd
        released = await charges.release(key, end.key)
    except ProviderRefused as refused:
        if refused.status != NOT_RESERVED:
            raise
        await _forbid(charges, key, end)
        return Decimal(0)
    return end.amount_usd if released.is_settled else Decimal(0)


async def _forbid(charges: Charges, key: SecretStr, end: ChargeEnd) -> None:
    """A worker that froze before it reserved the price finds another revision when it continues.
    Where the account cannot pay, that worker cannot reserve the price either."""
    try:
        await charges.reserve(key, end.key, end.amount_usd, NEVER_CALLED, 0)
        await charges.release(key, end.key)
    except ProviderRefused as refused:
        if refused.status != 402 and not refused.is_changed:
            raise
