"""Charges of tools: what a call of a tool costs the agent's account, reserved before it runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import httpx
from pydantic import SecretStr

from durable_agent_team.atxp.account_batches import encode
from durable_agent_team.atxp.exceptions import ProtocolBroken, ProviderRefused
from durable_agent_team.atxp.httpx_client import HttpxClient
from durable_agent_team.atxp.transport import exchange, if_match, revision_of
from durable_agent_team.contracts.base import decimal_of, round_up

TIMEOUT_SECONDS = 20
STATES = ("reserved", "settled", "released")
SETTLED_CODE = "charge_settled"
"""The code of the 409 that refuses to release what is in the ledger."""
RELEASED_CODE = "charge_released"
"""The code of the 409 that refuses to settle what was given back."""


@dataclass(frozen=True)
class ToolCharge:
    key: str
    amount_usd: Decimal
    state: str
    """`reserved`, `settled` or `released`."""
    revision: int | None = None
    """Another one after each `reserve` and `release`. None where the provider has none."""

    @property
    def is_settled(self) -> bool:
        return self.state == "settled"


class ToolCharges:
    """With the agent's own key. `api_url` is the provider's, such as `https://api.atxp.ai/v1`; it
    has charges where `Capabilities.charges` says so.

    Each request may be repeated: the key of a charge is that of the tool's call, and no account
    pays twice for one. Every method raises an `AtxpError`; `ProviderRefused` with status 402 where
    the amount does not fit, like that of a model's call.
    """

    def __init__(self, http: HttpxClient, api_url: str) -> None:
        self._http = http
        self._url = f"{api_url.rstrip('/')}/charges"

    async def reserve(
        self,
        key: SecretStr,
        charge: str,
        amount_usd: Decimal,
        what: str,
        revision: int | None = None,
    ) -> ToolCharge:
        """Before the tool is called. `settled` where the account has paid for this call before.
        With a `revision`, refuses (`is_changed`) if the charge has another one."""
        order = {"key": charge, "amount_usd": amount_usd, "what": what}
        try:
            return await self._send("POST", self._url, key, order, revision)
        except ProviderRefused as refused:
            if refused.status in (404, 405, 501):
                raise ProtocolBroken(
                    f"{self._url} answered {refused.status}: this provider does not charge for"
                    " tools. Use the project's gateway, or leave out the tool's `price_usd`"
                ) from None
            raise

    async def settle(self, key: SecretStr, charge: str) -> ToolCharge:
        """The tool has run, or it may have run and a person says so."""
        return await self._send("POST", f"{self._one(charge)}/settle", key)

    async def release(self, key: SecretStr, charge: str, revision: int | None = None) -> ToolCharge:
        """The tool has not run. What closing the account has settled stays: then the state of the
        answer is `settled`. A `revision` is that of `reserve`."""
        try:
            return await self._send("POST", f"{self._one(charge)}/release", key, None, revision)
        except ProviderRefused as refused:
            if refused.code == SETTLED_CODE:
                return await self.read(key, charge)
            raise

    async def read(self, key: SecretStr, charge: str) -> ToolCharge:
        return await self._send("GET", self._one(charge), key)

    def _one(self, charge: str) -> str:
        return f"{self._url}/{quote(charge, safe=':')}"

    async def _send(
        self,
        method: str,
        url: str,
        key: SecretStr,
        order: Mapping[str, Any] | None = None,
        revision: int | None = None,
    ) -> ToolCharge:
        answer = await exchange(
            self._http,
            method,
            httpx.URL(url),
            key=key.get_secret_value(),
            timeout_seconds=TIMEOUT_SECONDS,
            content=None if order is None else encode(order).encode(),
            headers=if_match(revision),
        )
        return self._charge(answer.body)

    def _charge(self, told: Mapping[str, Any]) -> ToolCharge:
        name, amount, state = told.get("key"), decimal_of(told.get("amount_usd")), told.get("state")
        if not isinstance(name, str) or amount is None or state not in STATES:
            raise ProtocolBroken(f"{self._url} answered without a charge: check ATXP_API_URL")
        return ToolCharge(name, round_up(amount), state, revision_of(told))
