"""Shared by the tests of activities: calls, a Temporal activity context, a server that repeats."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

from aiohttp import web
from pydantic import SecretStr
from temporalio.client import Client
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.accounts import Accounts
from activities.calls.call_agent import Agents
from activities.judging.answer_checks import reasons_against
from activities.judging.judge import answer_check
from activities.judging.schemas import probe
from durable_agent_team.atxp.account_api import AtxpAccounts
from durable_agent_team.atxp.chat_client import ChatClient
from durable_agent_team.atxp.http_client import HttpClient
from durable_agent_team.atxp.sealing import Sealer, generate_sealing_key
from durable_agent_team.contracts.accounts import AccountBudget, OpenAccounts, OpenedAccounts
from durable_agent_team.contracts.call import AccountRef, AttemptSpend, CallRequest
from tests.support.serving import listening

SEALER = Sealer(generate_sealing_key())
AGENT_KEY = "atxp-agent-key-0123456789abcdef"

Answer = tuple[int, dict[str, str], bytes]


def account(agent: str = "research", key: str = AGENT_KEY) -> AccountRef:
    account_id = f"account-of-{agent}"
    return AccountRef(
        agent=agent, account_id=account_id, sealed_key=SEALER.seal(SecretStr(key), account_id)
    )


def call(**changes: Any) -> CallRequest:
    """A small valid call of a specialist."""
    values: dict[str, Any] = {
        "idempotency_key": "call-1",
        "account": account(),
        "task": "market",
        "model": "m",
        "max_tokens": 100,
        "system": "You are: Market researcher.",
        "ask": "List the facts on demand.",
    }
    return CallRequest(**{**values, **changes})


def check(request: CallRequest, answer: str) -> tuple[str, ...]:
    """Tries the schema and judges the answer, in this process."""
    wanted = answer_check(request, answer)
    if wanted.schema_text is not None:
        probe(wanted.schema_text)
    return reasons_against(wanted)


class FakeClient(Client):
    """A client whose marks are recorded. Each takes `seconds` at the server."""

    def __init__(self, *errors: Exception | None) -> None:
        """Of the heartbeats, in their order; the last one is that of all further ones."""
        self.marks: list[tuple[Any, ...]] = []
        self.errors = list(errors)
        self.seconds = 0.0

    def get_async_activity_handle(self, **_: Any) -> Any:
        return self

    async def heartbeat(self, *details: Any) -> None:
        error = self.errors[0] if self.errors else None
        if len(self.errors) > 1:
            del self.errors[0]
        if error:
            raise error
        await asyncio.sleep(self.seconds)
        self.marks.append(details)


def context(
    *,
    timeout: float = 10,
    heartbeat: float | None = None,
    attempt: int = 1,
    details: tuple[Any, ...] = (),
    policy: RetryPolicy | None = None,
    is_local: bool = False,
    client: Client | None = None,
) -> ActivityEnvironment:
    environment = ActivityEnvironment(client=client or FakeClient())
    environment.info = dataclasses.replace(
        environment.info,
        start_to_close_timeout=timedelta(seconds=timeout),
        heartbeat_timeout=timedelta(seconds=heartbeat) if heartbeat else None,
        attempt=attempt,
        heartbeat_details=details,
        retry_policy=policy,
        is_local=is_local,
    )
    return environment


def spend_of(error: ApplicationError) -> AttemptSpend:
    assert isinstance(error.details[0], AttemptSpend)
    return error.details[0]


@dataclass
class Seen:
    headers: dict[str, str]
    path: str
    body: bytes


@dataclass
class Server:
    """Answers every request with `answer`, after `latency` seconds, and keeps what it got."""

    answer: Answer | Callable[[Seen], Answer]
    latency: float = 0
    url: str = ""
    seen: list[Seen] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        seen = Seen(dict(request.headers), request.path_qs, await request.read())
        self.seen.append(seen)
        await asyncio.sleep(self.latency)
        status, headers, body = self.answer(seen) if callable(self.answer) else self.answer
        return web.Response(status=status, headers=headers, body=body)


@asynccontextmanager
async def serving(
    answer: Answer | Callable[[Seen], Answer], latency: float = 0
) -> AsyncIterator[Server]:
    server = Server(answer, latency)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    async with listening(app) as url:
        server.url = f"{url}/v1"
        yield server


@asynccontextmanager
async def client() -> AsyncIterator[HttpClient]:
    http = HttpClient()
    try:
        yield http
    finally:
        await http.aclose()


@asynccontextmanager
async def agents_at(url: str) -> AsyncIterator[Agents]:
    async with client() as http:
        yield Agents(ChatClient(http, url), SEALER)


@dataclass
class Rooms:
    """Both activities at one gateway, and its HTTP client."""

    accounts: Accounts
    agents: Agents
    provider: AtxpAccounts


@asynccontextmanager
async def rooms_at(url: str, parent_key: str) -> AsyncIterator[Rooms]:
    async with client() as http:
        provider = AtxpAccounts(http, url, SecretStr(parent_key))
        chat = ChatClient(http, url)
        accounts = Accounts(provider, models_reader=chat, sealer=SEALER, default_model="m")
        yield Rooms(accounts, Agents(chat, SEALER), provider)


async def open_for(rooms: Rooms, *orders: tuple[str, str], run: str = "run-1") -> OpenedAccounts:
    """Accounts for `(agent, budget)` pairs."""
    wanted = tuple(AccountBudget(agent=a, budget_usd=Decimal(b)) for a, b in orders)
    order = OpenAccounts(run_key=run, accounts=wanted)
    return await context().run(rooms.accounts.open_accounts, order)
