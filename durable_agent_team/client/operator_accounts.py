"""Accounts at their provider, asked directly with the parent key: ATXP's account API over HTTP.

For people who look after a run that cannot do it itself. The worker has a client of its own.
"""

import asyncio
import json
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar

import httpx
from pydantic import Field, SecretStr

from durable_agent_team.contracts.base import round_up
from durable_agent_team.contracts.call import AccountRef
from durable_agent_team.contracts.spend import Charge, Ledger
from durable_agent_team.process.setting_types import Key, Url
from durable_agent_team.process.settings import ClientSettings, WorkerSettings, load

PAGE = 500
AT_ONCE = 10
TIMEOUT_SECONDS = 10.0
WAIT_SECONDS = 10
"""How long a disabled account may take to finish its calls in flight."""


class ProviderSilent(Exception):
    """The provider does not answer, or not as documented. The text says what to do."""


class OperatorSettings(ClientSettings):
    """What asking the provider needs beside the client's settings: the parent key, if known."""

    decides: ClassVar[tuple[str, ...]] = WorkerSettings.decides

    atxp_api_url: Url = Field("https://api.atxp.ai/v1", description="ATXP's account API.")
    atxp_api_key: Key | None = Field(None, description="The parent key.")


def operator_settings() -> OperatorSettings:
    """Raises `SettingsError` with every problem."""
    return load(OperatorSettings)


class AccountApi:
    """Reads and disables accounts. Raises `ProviderSilent`."""

    def __init__(self, http: httpx.AsyncClient, url: str, parent_key: SecretStr) -> None:
        self._http = http
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {parent_key.get_secret_value()}"}
        self._gate = asyncio.Semaphore(AT_ONCE)

    async def ledgers(self, accounts: Sequence[AccountRef]) -> list[Ledger]:
        """Each account with all its charges, oldest first."""
        return list(await asyncio.gather(*(self._ledger(each) for each in accounts)))

    async def disable(self, accounts: Sequence[AccountRef], *, wait: bool) -> list[str]:
        """Switches the accounts off; calls in flight finish. Answers with each one's status.

        `wait`: until they have finished; only for providers that know `wait_seconds`.
        """
        order: dict[str, Any] = {"status": "disabled"}
        if wait:
            order["wait_seconds"] = WAIT_SECONDS
        answers = await asyncio.gather(
            *(self._send("PATCH", f"/agents/{each.account_id}", order) for each in accounts)
        )
        return [str(answer.get("status", "unknown")) for answer in answers]

    async def _ledger(self, ref: AccountRef) -> Ledger:
        account = await self._send("GET", f"/agents/{ref.account_id}")
        charges: list[Charge] = []
        after: Any = 0
        while True:
            path = f"/agents/{ref.account_id}/transactions?limit={PAGE}&after={after}"
            page = await self._send("GET", path)
            lines = page.get("data")
            if not isinstance(lines, list) or not all(isinstance(line, dict) for line in lines):
                raise ProviderSilent(f"{self._url}{path} answered without a list of charges")
            charges += [_charge(line) for line in lines]
            if not page.get("has_more") or not lines or lines[-1].get("id") == after:
                break
            after = lines[-1].get("id")
        return Ledger(
            agent=ref.agent,
            account_id=ref.account_id,
            status=str(account.get("status", "unknown"))[:40],
            budget_usd=_amount(account, "budget"),
            spent_usd=_amount(account, "spent"),
            reserved_usd=_amount(account, "reserved"),
            charges=tuple(charges),
        )

    async def _send(self, method: str, path: str, order: Any = None) -> dict[str, Any]:
        url = self._url + path
        timeout = TIMEOUT_SECONDS + (WAIT_SECONDS if order else 0)
        try:
            async with self._gate:
                answer = await self._http.request(
                    method, url, json=order, headers=self._headers, timeout=timeout
                )
        except httpx.HTTPError as error:
            what = f"{type(error).__name__}: {error}".rstrip(": ")
            raise ProviderSilent(
                f"{url} does not answer ({what}): see that it is up, or correct ATXP_API_URL"
            ) from error
        if answer.status_code >= 400:
            remedy = "check ATXP_API_KEY" if answer.status_code in (401, 403) else ""
            remedy = remedy or "check ATXP_API_URL, and whether this provider knows the account"
            raise ProviderSilent(f"{method} {url} answered {answer.status_code}: {remedy}")
        try:
            body = json.loads(answer.text, parse_float=Decimal)
        except ValueError as error:
            raise ProviderSilent(f"{url} answered something that is not JSON") from error
        if not isinstance(body, dict):
            raise ProviderSilent(f"{url} answered no JSON object")
        return body


def _charge(line: dict[str, Any]) -> Charge:
    return Charge(
        idempotency_key=line.get("idempotency_key"),
        amount_usd=_amount(line, "amount"),
        prompt_tokens=int(line.get("prompt_tokens") or 0),
        completion_tokens=int(line.get("completion_tokens") or 0),
        estimated=line.get("estimated") is True,
    )


def _amount(line: dict[str, Any], name: str) -> Decimal:
    try:
        return round_up(Decimal(str(line.get(name) or 0)))
    except InvalidOperation as error:
        raise ProviderSilent(f"`{name}` of an account is no amount: {line.get(name)!r}") from error
