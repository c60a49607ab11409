"""What a run costs: accounts, ledgers, and the answer of the query `spend`."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar, Literal

from pydantic import Field

from durable_agent_team.contracts.base import Message, SignedUsd, Usd
from durable_agent_team.contracts.call import AccountRef
from durable_agent_team.contracts.team import Identifier

PER_MILLION = Decimal(1_000_000)
MAX_TIERS = 20


class Capabilities(Message):
    """The guarantees that an account provider declares."""

    hard_limit: bool = True
    """Refuses a call that could overspend, under any concurrency."""
    replay: bool = False
    """Stores billed answers by idempotency key, so that a retry is not billed again."""
    ledger: bool = False
    """Shows every charge, so that our sums can be checked."""
    transfer: bool = False
    """Moves money between two accounts in one step."""
    charges: bool = False
    """Charges an account for calls of tools: reserved before, settled after."""


class PromptTier(Message):
    """The highest prices, in USD per million tokens, of a request whose prompt is longer."""

    above_tokens: int
    input_usd: Decimal
    output_usd: Decimal


class ModelPrice(Message):
    """USD per million tokens, and the context window in tokens where it is known."""

    model: str = Field(max_length=200)
    input_usd: Decimal | None = None
    output_usd: Decimal | None = None
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    """The longest answer that the model can give, where it is known."""
    upstream: str | None = Field(None, max_length=60)
    """The gateway's name for who serves it."""
    dearest_input_usd: Decimal | None = None
    """Of all kinds of input of a text, such as what is written to a cache; None for `input_usd`."""
    dearest_output_usd: Decimal | None = None
    """Of all kinds of output, such as thinking; None for `output_usd`."""
    request_usd: Decimal = Decimal(0)
    """Of each request, whatever it contains."""
    tiers: tuple[PromptTier, ...] = Field((), max_length=MAX_TIERS)
    cached_input_usd: Decimal | None = None
    """Of input that the provider reads from its cache; None for `input_usd`."""
    planning: Literal["narrow", "whole"] | None = None
    """The form in which the model is asked for plans; None is the whole one, where the catalog
    `plans_by_model`."""
    tools: Literal["native", "none"] | None = None
    """Whether the model takes `tools`, or fills the schema of an action instead; None is native."""

    @property
    def is_priced(self) -> bool:
        """Both prices are known; a call cannot be bounded with only one."""
        return self.input_usd is not None and self.output_usd is not None

    def most_usd(self, prompt_tokens: int, output_tokens: int) -> Decimal | None:
        """The most that a request with this many tokens can cost, of whatever kind they are; None
        without a price."""
        if self.input_usd is None or self.output_usd is None:
            return None
        dearest = self.dearest_output_usd
        prices = [
            (
                self.input_usd if self.dearest_input_usd is None else self.dearest_input_usd,
                self.output_usd if dearest is None else dearest,
            ),
            *(
                (tier.input_usd, tier.output_usd)
                for tier in self.tiers
                if tier.above_tokens < prompt_tokens
            ),
        ]
        most = max(prompt_tokens * given + output_tokens * made for given, made in prices)
        return most / PER_MILLION + self.request_usd

    @property
    def highest_output_usd(self) -> Decimal | None:
        """Of a million tokens of an answer, in any tier."""
        if self.output_usd is None:
            return None
        more = [self.dearest_output_usd or self.output_usd, *(t.output_usd for t in self.tiers)]
        return max(more)


class UnavailableModel(Message):
    """A model that the gateway was asked for and cannot call, and why: `needs` names the settings
    that are missing, `nearest` names that look like it."""

    model: str = Field(max_length=200)
    needs: str = Field("", max_length=200)
    nearest: tuple[str, ...] = Field((), max_length=5)


class ReadModels(Message):
    """The models that a team names. Without them: the whole list."""

    names: tuple[str, ...] = Field((), max_length=2_100)


class ModelCatalog(Message):
    """What the gateway can serve. `priced` is false if the endpoint reports no prices."""

    models: tuple[ModelPrice, ...] = Field((), max_length=2_000)
    default_model: str | None = None
    priced: bool = False
    max_call_seconds: float | None = Field(None, gt=0)
    """The longest that the gateway lets a call take; None where the endpoint does not say."""
    unavailable: tuple[UnavailableModel, ...] = Field((), max_length=2_100)
    """Of the models that were asked for by name."""
    partial: bool = False
    """Whether it has only the models that were asked for, since a gateway can know thousands and
    the catalog is in every run's history."""
    scopes: bool | None = None
    """Whether the endpoint has scopes, which the calls of programs need; None where it is not known
    before the first call."""
    charges: bool | None = None
    """Whether accounts can be charged for calls of tools; None in runs of earlier versions."""
    accounts_locally: bool = False
    """Whether the run opens and closes its accounts by local activities. Comes with the catalog,
    which is in every run's history: runs of earlier versions do not have it, and replay as before.
    """
    no_idle_share: bool = False
    """An orchestrator that is never called has no share of the team's budget: not so in runs that
    began with an earlier version."""
    spend_signals: bool = False
    """Whether the activity that runs a program signals what it has cost. In runs of earlier
    versions the workflow reads the ledger instead, by a timer.
    """
    plans_by_model: bool = False
    """Whether each model's `planning` says in which form it is asked for plans. Runs of earlier
    versions do not have it: all their models plan in the narrow form."""
    plans_with_room: bool = False
    """Whether plans and reviews in the whole form may be longer than an agent's default
    `max_tokens`, reviews may add more than three tasks, and the documents of a planned team count
    in its shares: not so in runs that began with an earlier version."""


class AccountBudget(Message):
    """An account to be opened for one agent."""

    agent: Identifier
    budget_usd: Usd


class OpenAccounts(Message):
    """Idempotent by `run_key` (workflow id and first execution) and agent."""

    run_key: str = Field(max_length=1_100)
    accounts: tuple[AccountBudget, ...] = Field(min_length=1, max_length=1_001)


class OpenedAccounts(Message):
    accounts: tuple[AccountRef, ...]
    capabilities: Capabilities


class Charge(Message):
    """One settled line of a ledger."""

    idempotency_key: str | None = Field(None, max_length=200)
    amount_usd: Usd
    prompt_tokens: int = 0
    completion_tokens: int = 0
    estimated: bool = False
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    saved_usd: SignedUsd = Decimal(0)
    """What caching saved; negative if it cost more than it saved."""
    price_source: str = Field("", max_length=200)
    """Which prices the charge was made at."""
    scope: str | None = Field(None, max_length=100)
    """Of a program's call: the work that it belongs to."""
    attempt: int | None = Field(None, ge=1)
    """Which attempt of the scope paid it."""
    kind: Literal["call", "tool"] = "call"
    what: str = Field("", max_length=200)
    """Of a tool's charge: the tool."""


class PossiblyBilledCall(Message):
    """A request that the gateway gave up after it was sent. The account does not pay it; the
    operator may have to."""

    idempotency_key: str | None = Field(None, max_length=200)
    bound_usd: Usd | None = None
    """The most that it can have cost; None where the gateway did not record it."""
    cause: str = Field("", max_length=60)
    at: datetime | None = None
    scope: str | None = Field(None, max_length=100)
    attempt: int | None = Field(None, ge=1)


class Ledger(Message):
    """An account as its provider sees it. Its lines, `charges` and `possibly_billed`, only where
    they were asked for."""

    agent: Identifier
    account_id: str
    status: str = Field(max_length=40)
    budget_usd: Usd
    spent_usd: Usd
    reserved_usd: Usd = Decimal(0)
    charges: tuple[Charge, ...] = ()
    possibly_billed_calls: int = 0
    """Requests that the gateway gave up after they were sent. Not a part of `spent_usd`."""
    possibly_billed_usd: Usd = Decimal(0)
    """The most that the operator may have to pay for these."""
    possibly_billed: tuple[PossiblyBilledCall, ...] = ()

    @property
    def charged_usd(self) -> Decimal:
        """The sum of its lines."""
        return sum((charge.amount_usd for charge in self.charges), Decimal(0))

    def by_key(self) -> dict[str, Decimal]:
        """What it charged for each call, in USD: for those of a program, under their scope; lines
        without a key stand together, under ""."""
        amounts: dict[str, Decimal] = {}
        for charge in self.charges:
            key = charge.scope or charge.idempotency_key or ""
            amounts[key] = amounts.get(key, Decimal(0)) + charge.amount_usd
        return amounts


class SetBudget(Message):
    account: AccountRef
    budget_usd: Usd


class BudgetTransfer(Message):
    """Idempotent by its key."""

    idempotency_key: str = Field(max_length=100)
    source: AccountRef
    target: AccountRef
    amount_usd: Usd


class CloseAccounts(Message):
    """`known` is what the run knows it spent, by agent: where the provider disagrees, the
    answer carries that account's charges line by line."""

    accounts: tuple[AccountRef, ...]
    known: dict[Identifier, Usd]
    capabilities: Capabilities


class ClosedAccounts(Message):
    ledgers: tuple[Ledger, ...]


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
    """Of `prompt_tokens`, those read from a provider's cache; and those written to it."""
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    """Of `completion_tokens`, those that went into thinking."""
    saved_usd: SignedUsd = Decimal(0)
    """What caching saved against the price without it; negative if it cost more than it saved."""
    tools_usd: Usd = Decimal(0)
    """Of `spent_usd`, what calls of tools cost."""


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
