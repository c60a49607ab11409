"""What the demo checks a run against: its history, and the gateway's ledger asked directly.

Nothing here goes through the run or its worker: the accounts are found in Temporal's history, and
their charges are read over HTTP from the gateway, with the parent key of the local stack.
"""

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeVar

import httpx
from temporalio.api.common.v1 import Payloads
from temporalio.client import Client

from contracts.calls import CallRequest, CallResult
from contracts.spend import OpenedAccounts

PAGE = 500
T = TypeVar("T")


@dataclass(frozen=True)
class Line:
    """One charge, as the gateway has it."""

    idempotency_key: str | None
    amount_usd: Decimal


@dataclass(frozen=True)
class GatewayAccount:
    """One agent's account, as the gateway has it."""

    agent: str
    status: str
    budget_usd: Decimal
    spent_usd: Decimal
    lines: tuple[Line, ...]

    @property
    def ledger_usd(self) -> Decimal:
        return sum((line.amount_usd for line in self.lines), Decimal(0))


@dataclass(frozen=True)
class RecordedCall:
    """A paid call as Temporal recorded it; no result while it is in flight, or when it failed."""

    request: CallRequest
    result: CallResult | None


@dataclass(frozen=True)
class Evidence:
    """All that is known of a run without asking it."""

    accounts: tuple[GatewayAccount, ...]
    calls: tuple[RecordedCall, ...]

    @property
    def ledger_usd(self) -> Decimal:
        return sum((account.ledger_usd for account in self.accounts), Decimal(0))

    @property
    def charged_keys(self) -> list[str | None]:
        return [line.idempotency_key for account in self.accounts for line in account.lines]

    def account(self, agent: str) -> GatewayAccount:
        return next(account for account in self.accounts if account.agent == agent)

    def of_task(self, task: str) -> list[RecordedCall]:
        return [call for call in self.calls if call.request.task == task]


async def gather_evidence(client: Client, run_id: str, api_url: str, parent_key: str) -> Evidence:
    """Reads a run's history, and the ledger of each account that it opened."""
    activities = await _recorded(client, run_id)
    opened = [
        await _decode(client, output, OpenedAccounts)
        for name, _, output in activities
        if name == "open_accounts" and output is not None
    ]
    calls = [
        RecordedCall(
            await _decode(client, order, CallRequest),
            None if output is None else await _decode(client, output, CallResult),
        )
        for name, order, output in activities
        if name == "call_agent"
    ]
    accounts = []
    headers = {"Authorization": f"Bearer {parent_key}"}
    async with httpx.AsyncClient(timeout=10, headers=headers, trust_env=False) as http:
        for ref in (ref for batch in opened for ref in batch.accounts):
            url = f"{api_url}/agents/{ref.account_id}"
            accounts.append(await _read_account(http, url, ref.agent))
    return Evidence(tuple(accounts), tuple(calls))


async def _recorded(client: Client, run_id: str) -> list[tuple[str, Payloads, Payloads | None]]:
    """Every activity of a run: its name, its input, and its result if it has one."""
    scheduled: dict[int, tuple[str, Payloads]] = {}
    completed: dict[int, Payloads] = {}
    async for event in client.get_workflow_handle(run_id).fetch_history_events():
        if event.HasField("activity_task_scheduled_event_attributes"):
            order = event.activity_task_scheduled_event_attributes
            scheduled[event.event_id] = (order.activity_type.name, order.input)
        elif event.HasField("activity_task_completed_event_attributes"):
            done = event.activity_task_completed_event_attributes
            completed[done.scheduled_event_id] = done.result
    return [(name, order, completed.get(number)) for number, (name, order) in scheduled.items()]


async def _decode(client: Client, payloads: Payloads, kind: type[T]) -> T:
    value: T = (await client.data_converter.decode(payloads.payloads, [kind]))[0]
    return value


async def _read_account(http: httpx.AsyncClient, url: str, agent: str) -> GatewayAccount:
    account = await _get(http, url)
    lines: list[Line] = []
    after, more = 0, True
    while more:
        page = await _get(http, f"{url}/transactions?limit={PAGE}&after={after}")
        for line in page["data"]:
            after = line["id"]
            lines.append(Line(line["idempotency_key"], Decimal(line["amount"])))
        more = page["has_more"]
    return GatewayAccount(
        agent=agent,
        status=account["status"],
        budget_usd=Decimal(account["budget"]),
        spent_usd=Decimal(account["spent"]),
        lines=tuple(lines),
    )


async def _get(http: httpx.AsyncClient, url: str) -> Any:
    answer = await http.get(url)
    answer.raise_for_status()
    return json.loads(answer.text, parse_float=Decimal)
