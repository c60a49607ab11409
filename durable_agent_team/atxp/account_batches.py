"""Many accounts in one request, where the provider has such a request; our gateway does."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from durable_agent_team.atxp.exceptions import ProviderRefused
from durable_agent_team.atxp.provider import AccountOrder

MAX_ACCOUNTS = 200
"""In one request."""
PATH = "/agents/batch"
NO_SUCH_REQUEST = frozenset({404, 405, 501})
TEMPORARY = frozenset({401, 402, 403, 408, 425, 429})
"""The statuses below 500 that each single request would get as well."""

Send = Callable[..., Awaitable[dict[str, Any]]]


@dataclass(frozen=True)
class BatchAnswer:
    accounts: list[Mapping[str, Any]]
    capabilities: Any


class AccountBatches:
    """`send` makes one request: method, path, body and a timeout in seconds."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._offered = True
        """Until the provider has refused one: then this worker does not ask it again."""

    async def open(self, orders: Sequence[AccountOrder]) -> BatchAnswer | None:
        entries = [
            {
                "name": order.name,
                "budget": order.budget_usd,
                "idempotency_key": order.idempotency_key,
            }
            for order in orders
        ]
        return await self._all("POST", entries, {})

    async def close(
        self, account_ids: Sequence[str], wait_seconds: float, timeout: float
    ) -> BatchAnswer | None:
        order = {"status": "disabled", "wait_seconds": round(wait_seconds, 1)}
        answer = await self._all("PATCH", list(account_ids), order, timeout=timeout)
        if answer is None or [each.get("id") for each in answer.accounts] != list(account_ids):
            return None
        return answer

    async def _all(
        self, method: str, entries: Sequence[Any], order: Mapping[str, Any], **more: Any
    ) -> BatchAnswer | None:
        """None if the accounts have to be opened or closed one by one."""
        found: list[Mapping[str, Any]] = []
        capabilities = None
        for start in range(0, len(entries), MAX_ACCOUNTS):
            part = entries[start : start + MAX_ACCOUNTS]
            answer = await self._one(method, {"agents": part, **order}, **more)
            if answer is None or not _fits(answer.get("agents"), part):
                return None
            found += answer["agents"]
            capabilities = answer.get("capabilities")
        return BatchAnswer(found, capabilities)

    async def _one(
        self, method: str, order: Mapping[str, Any], **more: Any
    ) -> dict[str, Any] | None:
        if not self._offered:
            return None
        try:
            return await self._send(method, PATH, order, **more)
        except ProviderRefused as refused:
            if refused.status in NO_SUCH_REQUEST:
                self._offered = False
            elif refused.status >= 500 or refused.status in TEMPORARY:
                raise
            return None


def _fits(accounts: Any, entries: Sequence[Any]) -> bool:
    """Whether there is one account for each entry: a provider may know this path as another one."""
    return (
        isinstance(accounts, list)
        and len(accounts) == len(entries)
        and all(isinstance(each, dict) for each in accounts)
    )


def encode(value: Any) -> str:
    """JSON with amounts as exact numbers: a `Decimal` is written digit by digit."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(n)}: {encode(v)}" for n, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(encode, value)) + "]"
    return json.dumps(value)
