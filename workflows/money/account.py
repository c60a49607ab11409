"""Pure: what each agent has, has spent and may still spend.

For planning and for showing. The guard stands where the money is, at the gateway.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from itertools import chain

from durable_agent_team.contracts.call import CallResult
from durable_agent_team.contracts.spend import AgentSpend, AgentStatus, Ledger, Totals

ZERO = Decimal(0)


class Use(StrEnum):
    """What a charge was good for."""

    USEFUL = "useful"
    REPAIR = "repair"
    FAILED = "failed"
    DISCARDED = "discarded"


@dataclass
class AgentAccount:
    """One agent's money in one run, charge by charge. Amounts in USD."""

    agent: str
    model: str
    budget_usd: Decimal
    charges: dict[tuple[str, Use], Decimal] = field(default_factory=dict)
    """By idempotency key and use: a call that came off may have cost failed attempts before."""
    in_flight: dict[str, Decimal | None] = field(default_factory=dict)
    """Calls that are awaited: idempotency key -> the most that each may cost, if known."""
    lost: dict[str, Decimal | None] = field(default_factory=dict)
    """Calls that ended without an answer, and that the gateway may yet bill."""
    status: AgentStatus = AgentStatus.IDLE
    issued: set[str] = field(default_factory=set)
    """The keys of all calls that this history knows of."""
    unanswered: set[str] = field(default_factory=set)
    """Of these, the ones that the ledger has charged for while nobody had their answer."""
    seen_usd: Decimal = ZERO
    """The highest spend that the provider told beside an answer."""
    failures_in_row: int = 0
    calls: int = 0
    failed_calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    estimated_charges: int = 0

    @property
    def spent_usd(self) -> Decimal:
        return sum(self.charges.values(), ZERO)

    @property
    def remaining_usd(self) -> Decimal:
        return max(self.budget_usd - self.spent_usd, ZERO)

    @property
    def reserved_usd(self) -> Decimal:
        """The most that calls in flight can add: never more than what is left."""
        return self._reserved(self.remaining_usd)

    def _reserved(self, remaining: Decimal) -> Decimal:
        held = ZERO
        for bound in chain(self.in_flight.values(), self.lost.values()):
            if bound is None:
                return remaining
            held += bound
        return min(held, remaining)

    def has_room(self, bound: Decimal | None) -> bool:
        """Whether a call fits beside those in flight. Alone it is for the gateway to say."""
        if not self.in_flight or bound is None:
            return True
        remaining = self.remaining_usd
        return self._reserved(remaining) + bound <= remaining

    def begin(self, key: str, bound: Decimal | None) -> None:
        self.calls += 1
        self.issued.add(key)
        self.lost.pop(key, None)
        self.in_flight[key] = bound
        self.status = AgentStatus.WORKING

    def settle(self, key: str, result: CallResult, use: Use) -> None:
        """A billed answer: it is charged whether or not it passed its checks.

        It may be that of a call whose charge the ledger has told already: the same charge.
        """
        self._end(key)
        told = key in self.unanswered
        if told:
            self.unanswered.discard(key)
            del self.charges[key, Use.FAILED]
        for purpose, amount in ((use, result.cost_usd), (Use.FAILED, result.failed_attempts_usd)):
            if amount:
                before = self.charges.get((key, purpose), ZERO)
                self.charges[key, purpose] = before + amount
        usage = result.usage
        if not told:
            self._count(usage.prompt_tokens, usage.completion_tokens, result.estimated)
        self.seen_usd = max(self.seen_usd, result.account_spent_usd or ZERO)
        self._succeeded(use is not Use.FAILED)

    def fail(self, key: str, spent_usd: Decimal, *, may_be_billed: bool) -> None:
        """A call without an answer, and what its attempts are known to have cost."""
        self._succeeded(False)
        bound = self.in_flight.get(key)
        self._end(key)
        if spent_usd:
            self.charges[key, Use.FAILED] = spent_usd
        elif may_be_billed:
            self.lost[key] = bound

    def withdraw(self, key: str, *, may_be_billed: bool = False) -> None:
        """A call that was refused before it began, and will be made again; `may_be_billed` where
        an attempt before the refused one was let in."""
        self.calls -= 1
        bound = self.in_flight.get(key)
        self._end(key)
        if may_be_billed:
            self.lost[key] = bound

    @property
    def is_unexplained(self) -> bool:
        """The provider has charged for calls that this history does not know: it was reset."""
        return not self.in_flight and not self.lost and self.seen_usd > self.spent_usd

    def exhaust(self) -> None:
        self.status = AgentStatus.EXHAUSTED

    def park(self) -> None:
        self.status = AgentStatus.PARKED

    def unpark(self, *, still_parked: bool) -> None:
        """Somebody looked after it: what failed before does not count any more."""
        self.failures_in_row = 0
        if not still_parked:
            self._rest()

    def limit(self, budget_usd: Decimal) -> None:
        """A new limit. Whoever was exhausted may try again."""
        self.budget_usd = budget_usd
        if self.status is AgentStatus.EXHAUSTED:
            self._rest()

    def close(self) -> None:
        """No call is awaited any more; what is still open, the ledger will tell."""
        self.lost.update(self.in_flight)
        self.in_flight.clear()
        self.status = AgentStatus.CLOSED

    def read_back(self, ledger: Ledger, lost: Collection[str] | None = None) -> None:
        """Takes over charges of calls whose answer never came. `lost` are those that were lost when
        the ledger was asked, if not all that are: what came later it may not have seen."""
        known = self._by_key()
        for key, amount in ledger.by_key().items():
            missing = amount - known.get(key, ZERO)
            if missing > 0 and key not in self.in_flight:
                use = Use.FAILED if key in self.issued else Use.DISCARDED
                self.charges[key, use] = self.charges.get((key, use), ZERO) + missing
                self.lost.pop(key, None)
                if key in self.issued and key not in known:
                    self.unanswered.add(key)
        for charge in ledger.charges:
            key = charge.idempotency_key or ""
            if key not in known and key not in self.in_flight:
                self._count(charge.prompt_tokens, charge.completion_tokens, charge.estimated)
        if ledger.reserved_usd == 0:
            for key in list(self.lost if lost is None else lost):
                self.lost.pop(key, None)

    def agrees_with(self, ledger: Ledger) -> bool:
        """To the micro-dollar, and call by call where the ledger shows its lines."""
        if ledger.reserved_usd or self.spent_usd != ledger.spent_usd:
            return False
        return not ledger.charges or ledger.by_key() == self._by_key()

    def report(self) -> AgentSpend:
        by_use = dict.fromkeys(Use, ZERO)
        for (_, use), amount in self.charges.items():
            by_use[use] += amount
        return AgentSpend(
            agent=self.agent,
            model=self.model,
            status=self.status,
            budget_usd=self.budget_usd,
            spent_usd=self.spent_usd,
            remaining_usd=self.remaining_usd,
            reserved_usd=self.reserved_usd,
            useful_usd=by_use[Use.USEFUL],
            repairs_usd=by_use[Use.REPAIR],
            failed_attempts_usd=by_use[Use.FAILED],
            discarded_usd=by_use[Use.DISCARDED],
            calls=self.calls,
            failed_calls=self.failed_calls,
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
            estimated_charges=self.estimated_charges,
        )

    def _by_key(self) -> dict[str, Decimal]:
        amounts: dict[str, Decimal] = {}
        for (key, _), amount in self.charges.items():
            amounts[key] = amounts.get(key, ZERO) + amount
        return amounts

    def _count(self, prompt_tokens: int, completion_tokens: int, estimated: bool) -> None:
        self.prompt_tokens += prompt_tokens
        self.completion_tokens += completion_tokens
        self.estimated_charges += estimated

    def _end(self, key: str) -> None:
        self.in_flight.pop(key, None)
        if not self.in_flight and self.status is AgentStatus.WORKING:
            self.status = AgentStatus.IDLE

    def _rest(self) -> None:
        self.status = AgentStatus.WORKING if self.in_flight else AgentStatus.IDLE

    def _succeeded(self, good: bool) -> None:
        self.failed_calls += not good
        self.failures_in_row = 0 if good else self.failures_in_row + 1


def totals(accounts: Iterable[AgentSpend]) -> Totals:
    reports = list(accounts)
    return Totals(
        budget_usd=sum((each.budget_usd for each in reports), ZERO),
        spent_usd=sum((each.spent_usd for each in reports), ZERO),
        remaining_usd=sum((each.remaining_usd for each in reports), ZERO),
        reserved_usd=sum((each.reserved_usd for each in reports), ZERO),
        calls=sum(each.calls for each in reports),
        failed_calls=sum(each.failed_calls for each in reports),
        prompt_tokens=sum(each.prompt_tokens for each in reports),
        completion_tokens=sum(each.completion_tokens for each in reports),
    )
