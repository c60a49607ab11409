"""ATXP's account API over HTTP. Only this file knows its URLs and the shapes of its answers."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from typing import Any

import httpx
from pydantic import SecretStr

from durable_agent_team.atxp.account_batches import AccountBatches, encode
from durable_agent_team.atxp.exceptions import (
    AtxpError,
    LimitRefused,
    MalformedAnswer,
    ProtocolBroken,
    ProviderRefused,
)
from durable_agent_team.atxp.httpx_client import HttpxClient
from durable_agent_team.atxp.provider import AccountOrder, AccountState, OpenedAccount
from durable_agent_team.atxp.transport import exchange, if_match, revision_of
from durable_agent_team.contracts.accounts import Capabilities
from durable_agent_team.contracts.base import count_of, decimal_of, round_up, signed_usd_of, usd_of
from durable_agent_team.contracts.ledger import Charge, PossiblyBilledCall
from durable_agent_team.contracts.provider_info import declared_capabilities

TIMEOUT_SECONDS = 20
PAGE = 500


class AtxpAccounts:
    """`AccountProvider` for ATXP and for our gateway, which declares its own capabilities."""

    def __init__(self, http: HttpxClient, api_url: str, api_key: SecretStr) -> None:
        self._http = http
        self._url = api_url.rstrip("/")
        self._key = api_key
        self._batches = AccountBatches(self._send)

    @property
    def parent_key(self) -> SecretStr:
        return self._key

    async def open(self, name: str, budget_usd: Decimal, idempotency_key: str) -> OpenedAccount:
        order = {"name": name, "budget": budget_usd}
        answer = await self._send(
            "POST", "/agents", order, headers={"Idempotency-Key": idempotency_key}
        )
        capabilities = declared_capabilities(answer.get("capabilities"))
        return await self._opened(
            AccountOrder(name, budget_usd, idempotency_key), answer, capabilities
        )

    async def open_all(self, orders: Sequence[AccountOrder]) -> list[OpenedAccount] | None:
        answers = await self._batches.open(orders)
        if answers is None:
            return None
        capabilities = declared_capabilities(answers.capabilities)
        pairs = zip(orders, answers.accounts, strict=True)
        return [await self._opened(order, answer, capabilities) for order, answer in pairs]

    async def _opened(
        self, order: AccountOrder, answer: Mapping[str, Any], capabilities: Capabilities
    ) -> OpenedAccount:
        account_id, api_key = answer.get("id"), answer.get("api_key")
        for field, value in (("id", account_id), ("api_key", api_key)):
            if not isinstance(value, str) or not value:
                raise ProtocolBroken(
                    f"{self._url}/agents opened account {order.name!r} but answered no `{field}`:"
                    " check ATXP_API_URL"
                )
        await self._check_limit(str(account_id), order.name, order.budget_usd, answer)
        return OpenedAccount(str(account_id), SecretStr(str(api_key)), capabilities)

    async def set_budget(
        self, account_id: str, budget_usd: Decimal, revision: int | None = None
    ) -> AccountState:
        order = {"budget": budget_usd, "status": "active"}
        try:
            answer = await self._send(
                "PATCH", f"/agents/{account_id}", order, headers=if_match(revision)
            )
        except ProviderRefused as refused:
            if refused.status in (400, 409, 422):
                raise LimitRefused(
                    f"the provider refused a budget of {budget_usd} USD for account {account_id}:"
                    f" {refused.message}"
                ) from None
            raise
        told = decimal_of(answer.get("budget"))
        if told is not None and told != budget_usd:
            raise LimitRefused(
                f"asked for a budget of {budget_usd} USD for account {account_id}, the provider"
                f" set {told} USD"
            )
        return _state(account_id, answer)

    async def transfer(
        self, source_id: str, target_id: str, amount_usd: Decimal, idempotency_key: str
    ) -> tuple[AccountState, AccountState]:
        order = {"from": source_id, "to": target_id, "amount": amount_usd}
        try:
            answer = await self._send(
                "POST", "/transfers", order, headers={"Idempotency-Key": idempotency_key}
            )
        except ProviderRefused as refused:
            if refused.status in (400, 404, 405, 409, 422):
                raise LimitRefused(
                    f"the provider did not move {amount_usd} USD: {refused.message}"
                ) from None
            raise
        source, target = answer.get("from"), answer.get("to")
        if not isinstance(source, dict) or not isinstance(target, dict):
            raise ProtocolBroken(f"{self._url}/transfers answered without both accounts")
        return _state(source_id, source), _state(target_id, target)

    async def read(self, account_id: str) -> AccountState:
        return _state(account_id, await self._send("GET", f"/agents/{account_id}"))

    async def close(self, account_id: str, wait_seconds: float | None) -> AccountState:
        order: dict[str, Any] = {"status": "disabled"}
        if wait_seconds is not None:
            order["wait_seconds"] = round(wait_seconds, 1)
        answer = await self._send(
            "PATCH", f"/agents/{account_id}", order, timeout=TIMEOUT_SECONDS + (wait_seconds or 0)
        )
        return _state(account_id, answer)

    async def close_all(
        self, account_ids: Sequence[str], wait_seconds: float
    ) -> list[AccountState] | None:
        timeout = TIMEOUT_SECONDS + wait_seconds
        answers = await self._batches.close(account_ids, wait_seconds, timeout)
        if answers is None:
            return None
        pairs = zip(account_ids, answers.accounts, strict=True)
        return [_state(account_id, answer) for account_id, answer in pairs]

    async def charges(self, account_id: str, limit: int | None = None) -> tuple[Charge, ...]:
        return tuple([_charge(line) async for line in self._lines(account_id, "", limit)])

    async def possibly_billed(self, account_id: str) -> tuple[PossiblyBilledCall, ...]:
        lines = self._lines(account_id, "&kind=possibly_billed")
        return tuple([_possibly_billed(line) async for line in lines])

    async def _lines(
        self, account_id: str, query: str, limit: int | None = None
    ) -> AsyncIterator[Mapping[str, Any]]:
        """An account's transactions, oldest first: all of them, or at most `limit`."""
        read = 0
        after = ""
        while limit is None or read < limit:
            size = PAGE if limit is None else min(PAGE, limit - read)
            page = f"/agents/{account_id}/transactions?limit={size}{query}"
            answer = await self._send("GET", page + (f"&after={after}" if after else ""))
            lines = answer.get("data", answer.get("transactions"))
            if not isinstance(lines, list):
                raise ProtocolBroken(f"the ledger of account {account_id} is not a list of charges")
            for line in lines:
                if isinstance(line, dict):
                    read += 1
                    yield line
            last = str(lines[-1].get("id", "")) if lines and isinstance(lines[-1], dict) else ""
            if not answer.get("has_more") or not last or last == after:
                break
            after = last

    async def _check_limit(
        self, account_id: str, name: str, budget_usd: Decimal, answer: Mapping[str, Any]
    ) -> None:
        told = decimal_of(answer.get("budget"))
        if told is None and "budget" not in answer:
            return  # The published API documents only the key.
        if told == budget_usd:
            return
        with suppress(AtxpError):  # The refusal below matters more; an open account stays unused.
            await self.close(account_id, None)
        raise LimitRefused(
            f"asked for an account {name!r} with a budget of {budget_usd} USD, the provider opened"
            f" one with {told if told is not None else answer.get('budget')!s} USD; it was closed"
            " again"
        )

    async def _send(
        self,
        method: str,
        path: str,
        order: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = TIMEOUT_SECONDS,
    ) -> dict[str, Any]:
        try:
            answer = await exchange(
                self._http,
                method,
                httpx.URL(self._url + path),
                key=self._key.get_secret_value(),
                timeout_seconds=timeout,
                content=encode(order).encode() if order is not None else None,
                headers=headers,
            )
        except MalformedAnswer as malformed:
            raise ProtocolBroken(f"{malformed}; check ATXP_API_URL ({self._url})") from None
        except ProviderRefused as refused:
            if path == "/agents" and refused.status in (404, 405):
                raise ProtocolBroken(f"{refused}; check ATXP_API_URL ({self._url})") from None
            raise
        return answer.body


def _state(account_id: str, answer: Mapping[str, Any]) -> AccountState:
    return AccountState(
        account_id=account_id,
        status=str(answer.get("status") or "unknown")[:40],
        budget_usd=decimal_of(answer.get("budget")),
        spent_usd=decimal_of(answer.get("spent")),
        reserved_usd=decimal_of(answer.get("reserved")) or Decimal(0),
        possibly_billed_calls=count_of(answer.get("possibly_billed_calls")),
        possibly_billed_usd=usd_of(answer.get("possibly_billed")),
        revision=revision_of(answer),
    )


def _charge(line: Mapping[str, Any]) -> Charge:
    amount = decimal_of(line.get("amount"))
    if amount is None:
        raise ProtocolBroken(f"a charge in the ledger has no `amount`: {str(line)[:200]}")
    key = line.get("idempotency_key")
    kinds = ("cached_tokens", "cache_write_tokens", "reasoning_tokens")
    told: dict[str, Any] = {name: count_of(line.get(name)) for name in kinds}
    told["saved_usd"] = signed_usd_of(line.get("saved_usd"))
    told["price_source"] = str(line.get("price_source") or "")[:200]
    told |= _scope(line)
    if line.get("kind") == "tool":
        told |= {"kind": "tool", "what": str(line.get("what") or "")[:200]}
    return Charge(
        idempotency_key=key[:200] if isinstance(key, str) else None,
        amount_usd=round_up(amount),
        prompt_tokens=int(line.get("prompt_tokens") or 0),
        completion_tokens=int(line.get("completion_tokens") or 0),
        estimated=line.get("estimated") is True,
        **{name: figure for name, figure in told.items() if figure},
    )


def _possibly_billed(line: Mapping[str, Any]) -> PossiblyBilledCall:
    key, bound = line.get("idempotency_key"), line.get("bound")
    at = None
    with suppress(TypeError, ValueError):
        at = datetime.fromisoformat(line["created_at"])
    return PossiblyBilledCall(
        idempotency_key=key[:200] if isinstance(key, str) else None,
        bound_usd=None if bound is None else usd_of(bound),
        cause=str(line.get("cause") or "")[:60],
        at=at,
        **_scope(line),
    )


def _scope(line: Mapping[str, Any]) -> dict[str, Any]:
    """The scope of a program's call; nothing for any other."""
    scope, attempt = line.get("scope"), count_of(line.get("attempt"))
    told = {"scope": scope[:100]} if isinstance(scope, str) and scope else {}
    return {**told, **({"attempt": attempt} if told and attempt else {})}
