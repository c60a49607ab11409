"""The interface of an adapter: what the checks need beside the OpenAI-compatible door."""

import enum
import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

import httpx


class Need(enum.Enum):
    """What a check cannot do without; the text completes "not applicable: ..."."""

    BOOKS = "the books cannot be read with ready keys alone"
    DISABLE = "an account cannot be disabled with ready keys alone"
    RESTART = "needs --start, the command that starts the gateway"
    UNPRICED = "no model without a price is configured"


class GatewayRefused(Exception):
    """The gateway did not do what an adapter asked; the message has its answer."""


class NoSuchAccount(Exception):
    """An account like this cannot be had from this adapter; the message says why."""


@dataclass(frozen=True)
class Account:
    """`key` pays for calls; `id` is the name by which the adapter knows the account."""

    id: str
    key: str
    budget: Decimal


@dataclass(frozen=True)
class Books:
    """What the gateway says of an account, in USD. `reserved` None: it reports none.

    `possibly_billed`: calls without a charge that the gateway records, since the upstream may have
    billed them.
    """

    spent: Decimal
    reserved: Decimal | None = None
    possibly_billed: Decimal = Decimal(0)


class Adapter(Protocol):
    """`books_delay`: seconds after a call until the books can be expected to have it."""

    offers: frozenset[Need]
    books_delay: float

    async def open(self, budget: Decimal) -> Account:
        """An account with at least this budget. `GatewayRefused`."""
        ...

    async def open_to_exhaust(self, budget: Decimal, most: Decimal) -> Account:
        """An account that no other check uses, with this budget or, where budgets cannot be
        chosen, with another one up to `most`. `NoSuchAccount`, `GatewayRefused`."""
        ...

    async def books(self, account: Account) -> Books: ...

    async def disable(self, account: Account) -> None: ...


@dataclass(frozen=True)
class Admin:
    """Requests with the admin's key."""

    http: httpx.AsyncClient
    url: str
    key: str

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The parsed answer, numbers exact. `GatewayRefused` for every other status than 2xx."""
        headers = {"Authorization": f"Bearer {self.key}"}
        answer = await self.http.request(method, self.url + path, json=body, headers=headers)
        if not answer.is_success:
            raise GatewayRefused(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
        return json.loads(answer.text, parse_float=Decimal, parse_int=Decimal)
