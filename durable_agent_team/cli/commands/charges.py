"""`charges` and `reconcile`: a run's ledger, call by call, beside its provider's books."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal

import httpx
from temporalio.client import Client

from durable_agent_team.cli.exit_codes import Code, CommandError
from durable_agent_team.cli.output import note, say, say_json, table, usd
from durable_agent_team.cli.session import with_client
from durable_agent_team.client.operator_accounts import (
    AccountApi,
    OperatorSettings,
    ProviderSilent,
    operator_settings,
)
from durable_agent_team.client.run_history import INTERRUPTED, RecordedCall, RunRecord, read_record
from durable_agent_team.client.runs import get_run
from durable_agent_team.contracts.base import Message
from durable_agent_team.contracts.spend import Ledger
from durable_agent_team.process.settings import SettingsError


class ChargeLine(Message):
    """One call beside its lines in the ledger. `amount_usd` is what the run knows, `ledger_usd`
    what the provider has booked under the same key; None where nobody said."""

    agent: str
    task: str | None
    purpose: str | None
    model: str | None
    idempotency_key: str | None
    prompt_tokens: int
    completion_tokens: int
    amount_usd: Decimal | None
    ledger_usd: Decimal | None
    note: str


class AccountLine(Message):
    """One account after `reconcile`."""

    agent: str
    account_id: str
    status: str
    budget_usd: Decimal | None
    spent_usd: Decimal | None
    reserved_usd: Decimal | None


class Reconciled(Message):
    """What `reconcile --json` prints."""

    workflow_id: str
    accounts: tuple[AccountLine, ...]
    charges: tuple[ChargeLine, ...]
    ledger_usd: Decimal | None


def charges(run: str, json: bool) -> int:
    """Prints every call with its key and its price; with the parent key also the ledger's word."""
    settings = _settings()

    async def work(client: Client) -> tuple[ChargeLine, ...]:
        record = await read_record(client, run)
        return charge_lines(record, await _ledgers(settings, record))

    lines = with_client(work)
    if json:
        for line in lines:
            say_json(line)
    elif lines:
        say(charge_table(lines))
    else:
        note(f"run {run}: no call yet")
    return Code.DONE


def reconcile(run: str, json: bool) -> int:
    """Disables the accounts of a run that has ended, and prints what they spent."""
    settings = _settings()
    if settings.atxp_api_key is None:
        text = "ATXP_API_KEY is not set: the accounts' provider is asked with the parent key"
        raise CommandError(Code.INPUT_WRONG, f"{text} (set it in .env or the environment)")

    async def work(client: Client) -> tuple[RunRecord, Reconciled]:
        if await get_run(client, run).is_open():
            text = f"run {run}: it goes on, and closes its accounts itself"
            raise CommandError(
                Code.INPUT_WRONG, f"{text} (`starter.py cancel {run}` makes it end and report)"
            )
        record = await read_record(client, run)
        return record, await _close(settings, record)

    record, found = with_client(work)
    if json:
        say_json(found)
    else:
        say(_reconciled_text(record, found))
    return Code.DONE


def charge_lines(record: RunRecord, ledgers: Sequence[Ledger] | None) -> tuple[ChargeLine, ...]:
    """All calls in their order; then what only the provider's books know."""
    booked = {
        (ledger.agent, key): amount
        for ledger in ledgers or ()
        for key, amount in ledger.by_key().items()
    }
    # A call that was refused, and goes again with its key, has several lines here and one there.
    last = {call.key: number for number, call in enumerate(record.calls)}
    known: dict[tuple[str, str], Decimal] = {}
    lines = []
    for number, call in enumerate(record.calls):
        asked, got, key = call.request, call.result, call.key
        known[key] = known.get(key, Decimal(0)) + (call.cost_usd or Decimal(0))
        is_last = last[key] == number
        there = booked.pop(key, None) if is_last else None
        notes = [call.failure.partition(":")[0] if call.failure else ""]
        if got is not None:
            notes += ["failed its checks" if got.reasons else "", "estimated" * got.estimated]
            notes += ["answered from the gateway's store" * got.replayed]
        elif call.failure is None:
            notes += ["in flight" if record.ended_at is None else INTERRUPTED]
        notes += ["read back from the ledger" if call.read_back_usd else ""]
        if ledgers is not None and call.ended_at is not None and is_last:
            notes += [_difference(call, known[key], there or Decimal(0))]
        lines.append(
            ChargeLine(
                agent=asked.account.agent,
                task=asked.task,
                purpose=asked.purpose.value,
                model=asked.model,
                idempotency_key=asked.idempotency_key,
                prompt_tokens=got.usage.prompt_tokens if got else 0,
                completion_tokens=got.usage.completion_tokens if got else 0,
                amount_usd=call.cost_usd,
                ledger_usd=there if ledgers is None else there or Decimal(0),
                note=", ".join(each for each in notes if each),
            )
        )
    return (
        *lines,
        *(_unknown(agent, key or None, amount) for (agent, key), amount in booked.items()),
    )


def _difference(call: RecordedCall, known: Decimal, there: Decimal) -> str:
    if known == there:
        return ""
    if call.failure is not None and known < there:
        return "charged all the same"  # the run reads that back, if it has not ended yet
    return "DIFFERS FROM THE LEDGER"


def _unknown(agent: str, key: str | None, amount: Decimal) -> ChargeLine:
    return ChargeLine(
        agent=agent, task=None, purpose=None, model=None, idempotency_key=key, prompt_tokens=0,
        completion_tokens=0, amount_usd=None, ledger_usd=amount,
        note="in the ledger, not in this history",
    )  # fmt: skip


def charge_table(lines: Sequence[ChargeLine]) -> str:
    rows = [
        [
            each.task or "-",
            each.agent,
            each.idempotency_key or "-",
            f"{each.prompt_tokens}+{each.completion_tokens}",
            usd(each.amount_usd),
            usd(each.ledger_usd),
            each.note,
        ]
        for each in lines
    ]
    known = sum((each.amount_usd or Decimal(0) for each in lines), Decimal(0))
    asked = any(each.ledger_usd is not None for each in lines)
    booked = sum((each.ledger_usd or Decimal(0) for each in lines), Decimal(0)) if asked else None
    rows.append(["total", "", "", "", usd(known), usd(booked), ""])
    head = ["task", "agent", "idempotency key", "tokens", "USD", "ledger USD", "note"]
    return table(head, rows, right=(3, 4, 5))


def _settings() -> OperatorSettings:
    try:
        return operator_settings()
    except SettingsError as error:
        raise CommandError(Code.INPUT_WRONG, f"settings:\n{error}") from error


async def _ledgers(settings: OperatorSettings, record: RunRecord) -> list[Ledger] | None:
    """None, and a note that says so, where the provider's books cannot be read."""
    if not record.capabilities.ledger:
        note("note: this provider shows no ledger; the amounts are what the run was told")
        return None
    if settings.atxp_api_key is None:
        note("note: ATXP_API_KEY is not set, so the provider's ledger was not asked")
        return None
    try:
        async with _api(settings) as api:
            return await api.ledgers(record.accounts)
    except ProviderSilent as error:
        note(f"note: the provider's ledger was not read: {error}")
        return None


async def _close(settings: OperatorSettings, record: RunRecord) -> Reconciled:
    readable = record.capabilities.ledger
    try:
        async with _api(settings) as api:
            statuses = await api.disable(record.accounts, wait=readable)
            ledgers = await api.ledgers(record.accounts) if readable else None
        books: list[Ledger | None] = [*ledgers] if ledgers else [None] * len(statuses)
    except ProviderSilent as error:
        raise CommandError(Code.NO_ANSWER, str(error)) from error
    accounts = [
        AccountLine(
            agent=ref.agent, account_id=ref.account_id, status=status,
            budget_usd=ledger.budget_usd if ledger else None,
            spent_usd=ledger.spent_usd if ledger else None,
            reserved_usd=ledger.reserved_usd if ledger else None,
        )
        for ref, status, ledger in zip(record.accounts, statuses, books, strict=True)
    ]  # fmt: skip
    spent = sum((ledger.spent_usd for ledger in ledgers), Decimal(0)) if ledgers else None
    return Reconciled(
        workflow_id=record.id,
        accounts=tuple(accounts),
        charges=charge_lines(record, ledgers),
        ledger_usd=spent,
    )


def _reconciled_text(record: RunRecord, found: Reconciled) -> str:
    if not found.accounts:
        return (
            f"run {record.id}: its history has no accounts. If it was ended while they were being"
            " opened, they are unused, and the provider's own expiry ends them"
        )
    head = ["agent", "account", "status", "budget", "spent USD", "reserved"]
    rows = [
        [
            each.agent,
            each.account_id,
            each.status,
            usd(each.budget_usd),
            usd(each.spent_usd),
            usd(each.reserved_usd),
        ]
        for each in found.accounts
    ]
    parts = [table(head, rows, right=(3, 4, 5))]
    if found.charges:
        parts += ["", charge_table(found.charges)]
    if found.ledger_usd is None:
        parts += ["", "this provider shows no ledger: what was spent cannot be verified"]
    else:
        parts += ["", f"ledger: {usd(found.ledger_usd)} USD in all"]
    return "\n".join(parts)


@asynccontextmanager
async def _api(settings: OperatorSettings) -> AsyncIterator[AccountApi]:
    assert settings.atxp_api_key is not None
    async with httpx.AsyncClient(trust_env=False) as http:
        yield AccountApi(http, settings.atxp_api_url, settings.atxp_api_key)
