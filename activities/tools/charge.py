"""What a call of a tool costs the agent's account: reserved before the call, settled after it."""

from decimal import Decimal
from typing import Protocol

from pydantic import SecretStr
from temporalio import activity

from durable_agent_team.atxp.exceptions import AtxpError, ProviderRefused
from durable_agent_team.atxp.sealing import Sealer
from durable_agent_team.atxp.tool_charges import RELEASED_CODE, ToolCharge
from durable_agent_team.contracts.tool_call import ChargeEnd, ToolOrder

NOT_RESERVED = 404


class Charges(Protocol):
    """Charges of an account, by its key. Each may be repeated with the same `charge`. They raise
    `AtxpError`."""

    async def reserve(
        self, key: SecretStr, charge: str, amount_usd: Decimal, what: str
    ) -> ToolCharge: ...

    async def settle(self, key: SecretStr, charge: str) -> object: ...

    async def release(self, key: SecretStr, charge: str) -> ToolCharge: ...


class Charge:
    """The charge of one call. Does nothing for a tool without a price."""

    def __init__(self, charges: Charges, sealer: Sealer, order: ToolOrder) -> None:
        self._charges = charges
        self._order = order
        self._key: SecretStr | None = None
        self._sealer = sealer
        self.charged_usd = Decimal(0)
        """What the account has paid, or keeps reserved since the tool may have run."""
        self.was_settled = False
        """The account had paid for this call before it was reserved here."""

    @property
    def has_price(self) -> bool:
        return self._order.account is not None and bool(self._order.tool.price_usd)

    @property
    def is_begun(self) -> bool:
        """The account was asked to reserve the price."""
        return self._key is not None

    async def reserve(self) -> None:
        """Raises `AtxpError`: then nothing may be called."""
        account, price = self._order.account, self._order.tool.price_usd
        if account is None or not price:
            return
        self._key = self._sealer.unseal(account.sealed_key, account.account_id)
        source = self._order.facts.source
        charge = await self._charges.reserve(self._key, self._order.key, price, source)
        self.was_settled = charge.is_settled
        self.charged_usd = price

    async def settle(self) -> None:
        """The tool has run. Where the provider is away, the amount stays reserved, and is settled
        when the account is closed: the result is not given up for it."""
        if self._key is None:
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
        if self._key is None:
            return
        try:
            await self._charges.release(self._key, self._order.key)
        except AtxpError as error:
            activity.logger.warning("the charge of a tool stays reserved: %s", error)
            return
        self._key, self.charged_usd = None, Decimal(0)


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
        return Decimal(0)
    return end.amount_usd if released.is_settled else Decimal(0)
