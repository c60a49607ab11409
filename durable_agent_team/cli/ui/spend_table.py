"""What a run has spent, as plain text: a table, and what no table shows."""

from collections.abc import Sequence
from decimal import Decimal

from durable_agent_team.cli.output import aligned_table, usd
from durable_agent_team.cli.ui.token_text import kinds_text, saved_text
from durable_agent_team.contracts.spend import AgentSpend, LedgerAgreement, SpendReport, Totals
from durable_agent_team.process.called_program import starter_command
from durable_agent_team.rules.counts import counted
from durable_agent_team.rules.guarantees import broken_promises

AGREEMENT = {
    LedgerAgreement.OPEN: "the accounts are open",
    LedgerAgreement.YES: "agrees",
    LedgerAgreement.NO: "DOES NOT AGREE",
    LedgerAgreement.UNVERIFIABLE: "cannot be verified with this provider",
}


def spend_table(spend: SpendReport) -> str:
    """A line for each agent, the total, and the state of the ledger."""
    rows = [
        [
            each.agent,
            each.status.value,
            _calls(each.calls, each.failed_calls),
            f"{each.prompt_tokens}+{each.completion_tokens}",
            usd(each.spent_usd),
            usd(each.budget_usd),
            usd(each.remaining_usd),
        ]
        for each in spend.agents
    ]
    total = spend.total
    rows.append(
        [
            "total",
            "",
            _calls(total.calls, total.failed_calls),
            f"{total.prompt_tokens}+{total.completion_tokens}",
            usd(total.spent_usd),
            usd(total.budget_usd),
            usd(total.remaining_usd),
        ]
    )
    head = ["agent", "state", "calls", "tokens", "spent USD", "budget", "left"]
    if total.tools_usd:
        _add_tools(head, rows, [*spend.agents, total])
    figures = range(2, len(head))
    return "\n".join([aligned_table(head, rows, right=tuple(figures)), *money_notes(spend)])


def _add_tools(
    head: list[str], rows: Sequence[list[str]], spent: Sequence[AgentSpend | Totals]
) -> None:
    """A column of what calls of tools cost, before what was spent in all."""
    place = head.index("spent USD")
    head.insert(place, "tools USD")
    for row, each in zip(rows, spent, strict=True):
        row.insert(place, usd(each.tools_usd))


def _calls(calls: int, failed: int) -> str:
    return f"{calls} ({failed} failed)" if failed else str(calls)


def money_notes(spend: SpendReport) -> list[str]:
    """What the table of a spend does not show, a line for each."""
    total = spend.total
    lines = []
    if spend.cut_off:
        command = starter_command("reconcile", spend.workflow_id)
        lines.append(
            "Temporal ended the run, so a call in flight may have cost more, and accounts may be"
            f" open: `{command}` closes and reads them"
        )
    if total.reserved_usd:
        lines.append(f"reserved by calls in flight: {usd(total.reserved_usd)} USD")
    kinds = {
        "repairs": sum((each.repairs_usd for each in spend.agents), Decimal(0)),
        "failed attempts": sum((each.failed_attempts_usd for each in spend.agents), Decimal(0)),
        "discarded by a reset": sum((each.discarded_usd for each in spend.agents), Decimal(0)),
    }
    if total.tools_usd:
        kinds = {"tools": total.tools_usd, **kinds}
    parts = [f"{kind} {usd(amount)} USD" for kind, amount in kinds.items() if amount]
    if parts:
        lines.append(f"of the total: {', '.join(parts)}")
    if of_a_kind := kinds_text(total):
        lines.append(f"of the tokens: {of_a_kind}")
    if saved := saved_text(total.saved_usd):
        lines.append(saved)
    if spend.reused_usd is not None:
        lines.append(
            "taken over from other runs (tasks, plan and answer), and not paid here:"
            f" {usd(spend.reused_usd)} USD"
        )
    estimated = sum(each.estimated_charges for each in spend.agents)
    if estimated:
        lines.append(f"charges at their upper bound, without a reported usage: {estimated}")
    if total.possibly_billed_calls:
        lines.append(possibly_billed_text(total.possibly_billed_calls, total.possibly_billed_usd))
    if spend.agents:
        broken = broken_promises(spend.capabilities)
        lines += [f"this provider does not guarantee {n}: {what}" for n, what in broken.items()]
    if spend.ledger_usd is not None:
        lines.append(f"ledger: {usd(spend.ledger_usd)} USD, {AGREEMENT[spend.ledger_agrees]}")
    return lines


def possibly_billed_text(calls: int, most_usd: Decimal) -> str:
    """What the gateway gave up after it was sent, and no account was charged for."""
    what = counted(calls, "call")
    return f"may have been billed to the operator: {what}, at most {usd(most_usd)} USD"
