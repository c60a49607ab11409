"""Pure: the calls of a run next to the charges in its provider's ledger."""

from collections.abc import Sequence
from decimal import Decimal

from durable_agent_team.cli.output import aligned_table, usd
from durable_agent_team.client.run_history import INTERRUPTED, RecordedCall, RunRecord
from durable_agent_team.contracts.base import Message
from durable_agent_team.contracts.spend import Ledger


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
    return aligned_table(head, rows, right=(3, 4, 5))


def reconciled_text(record: RunRecord, found: Reconciled) -> str:
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
    parts = [aligned_table(head, rows, right=(3, 4, 5))]
    if found.charges:
        parts += ["", charge_table(found.charges)]
    if found.ledger_usd is None:
        parts += ["", "this provider shows no ledger: what was spent cannot be verified"]
    else:
        parts += ["", f"ledger: {usd(found.ledger_usd)} USD in all"]
    return "\n".join(parts)
