"""Pure: the charges of a run and its reconciled accounts, as plain text."""

from collections.abc import Sequence
from decimal import Decimal

from durable_agent_team.cli.output import aligned_table, usd
from durable_agent_team.cli.ui.charge_lines import ChargeLine, Reconciled
from durable_agent_team.cli.ui.spend_table import possibly_billed_text
from durable_agent_team.client.run_history import RunRecord


def charge_table(lines: Sequence[ChargeLine]) -> str:
    """A row for each call, then the totals."""
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
    is_read = any(each.ledger_usd is not None for each in lines)
    booked = sum((each.ledger_usd or Decimal(0) for each in lines), Decimal(0)) if is_read else None
    calls = sum(each.possibly_billed_calls for each in lines)
    most = sum((each.possibly_billed_usd for each in lines), Decimal(0))
    note = possibly_billed_text(calls, most) if calls else ""
    rows.append(["total", "", "", "", usd(known), usd(booked), note])
    head = ["task", "agent", "idempotency key", "tokens", "USD", "ledger USD", "note"]
    return aligned_table(head, rows, right=(3, 4, 5))


def reconciled_text(record: RunRecord, found: Reconciled) -> str:
    """The accounts, the charges and the total."""
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
    calls = sum(each.possibly_billed_calls for each in found.accounts)
    if calls:
        most = sum((each.possibly_billed_usd for each in found.accounts), Decimal(0))
        parts.append(possibly_billed_text(calls, most))
    return "\n".join(parts)
