"""What a run costs, by agent and in all: the answer of the query `spend`."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar

from durable_agent_team.contracts.accounts import Capabilities
from durable_agent_team.contracts.base import Message, SignedUsd, Usd
from durable_agent_team.contracts.team import Identifier


class AgentStatus(StrEnum):
    IDLE = "idle"
    WORKING = "working"
    PARKED = "parked"
    EXHAUSTED = "exhausted"
    CLOSED = "closed"


class LedgerAgreement(StrEnum):
    OPEN = "open"
    YES = "yes"
    NO = "no"
    UNVERIFIABLE = "unverifiable"


class AgentSpend(Message):
    """`reserved_usd` bounds what calls in flight can still add to `spent_usd`."""

    agent: Identifier
    model: str
    status: AgentStatus
    budget_usd: Usd
    spent_usd: Usd
    remaining_usd: Usd
    reserved_usd: Usd
    useful_usd: Usd
    repairs_usd: Usd
    failed_attempts_usd: Usd
    """Billed without use: an answer that failed its checks, or that arrived too late."""
    discarded_usd: Usd
    """For calls that a reset of the run discarded: in the ledger, but not in this history."""
    calls: int
    failed_calls: int
    prompt_tokens: int
    completion_tokens: int
    estimated_charges: int
    possibly_billed_calls: int = 0
    """Requests that the gateway gave up after they were sent: the operator may have to pay them,
    the account does not."""
    possibly_billed_usd: Usd = Decimal(0)
    """The most that these can have cost; not a part of `spent_usd`."""
    cached_tokens: int = 0
    """The part of `prompt_tokens` that a provider read from its cache."""
    cache_write_tokens: int = 0
    """The part of `prompt_tokens` that a provider wrote to its cache."""
    reasoning_tokens: int = 0
    """The part of `completion_tokens` that went into thinking."""
    saved_usd: SignedUsd = Decimal(0)
    """What caching saved against the price without it; negative if it cost more than it saved."""
    tools_usd: Usd = Decimal(0)
    """The part of `spent_usd` that calls of tools cost."""


class Totals(Message):
    budget_usd: Usd
    spent_usd: Usd
    remaining_usd: Usd
    reserved_usd: Usd
    calls: int
    failed_calls: int
    prompt_tokens: int
    completion_tokens: int
    possibly_billed_calls: int = 0
    possibly_billed_usd: Usd = Decimal(0)
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    """The part of `prompt_tokens` that a provider wrote to its cache."""
    reasoning_tokens: int = 0
    saved_usd: SignedUsd = Decimal(0)
    tools_usd: Usd = Decimal(0)

    @classmethod
    def of(cls, agents: Iterable[AgentSpend]) -> "Totals":
        """The sums over agents."""
        reports = list(agents)
        return cls(
            budget_usd=sum((each.budget_usd for each in reports), Decimal(0)),
            spent_usd=sum((each.spent_usd for each in reports), Decimal(0)),
            remaining_usd=sum((each.remaining_usd for each in reports), Decimal(0)),
            reserved_usd=sum((each.reserved_usd for each in reports), Decimal(0)),
            calls=sum(each.calls for each in reports),
            failed_calls=sum(each.failed_calls for each in reports),
            prompt_tokens=sum(each.prompt_tokens for each in reports),
            completion_tokens=sum(each.completion_tokens for each in reports),
            possibly_billed_calls=sum(each.possibly_billed_calls for each in reports),
            possibly_billed_usd=sum((each.possibly_billed_usd for each in reports), Decimal(0)),
            **_kinds(reports),
        )


def _kinds(reports: Sequence[AgentSpend]) -> dict[str, Any]:
    """Sums of what few agents have: tokens with a price of their own, and what caching saved."""
    sums: dict[str, Any] = {
        "cached_tokens": sum(each.cached_tokens for each in reports),
        "cache_write_tokens": sum(each.cache_write_tokens for each in reports),
        "reasoning_tokens": sum(each.reasoning_tokens for each in reports),
        "saved_usd": sum((each.saved_usd for each in reports), Decimal(0)),
        "tools_usd": sum((each.tools_usd for each in reports), Decimal(0)),
    }
    return {name: figure for name, figure in sums.items() if figure}


AGENTS_PER_PAGE = 50


class SpendReport(Message):
    """The answer of the query `spend`; in a report, with all agents.

    `total` is always of all agents. Where one answer has no room for them, `agents` is one page of
    them, and `page` and `agents_total` are set.
    """

    stays_inline: ClassVar[bool] = True

    workflow_id: str
    agents: tuple[AgentSpend, ...]
    total: Totals
    ledger_usd: Usd | None
    """The sum of the ledgers, once they were read back."""
    ledger_agrees: LedgerAgreement
    capabilities: Capabilities
    reused_usd: Usd | None = None
    """What the hand-offs, the plan and the answer cost that the run took over from others: paid
    there, and in no other figure here. None in a run that took nothing over."""
    cut_off: bool = False
    """Temporal ended the run (`RunStatus.TERMINATED`, `TIMED_OUT`): what was in flight then may
    have cost more, and the accounts are open until `starter.py reconcile` closes them."""
    page: int | None = None
    """Which page of agents this is, from 1; None where all agents are here."""
    agents_total: int | None = None
    """How many agents there are on all pages; None where all are here."""
