"""Pure: what each agent has, has spent and may still spend.

For planning and for showing. The guard stands where the money is, at the gateway.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import StrEnum
from itertools import chain

from contracts.calls import CallRequest, CallResult, Source
from contracts.model import MICRO, round_up
from contracts.run import Failure
from contracts.spend import AgentSpend, AgentStatus, Ledger, ModelPrice, Totals

MESSAGE_ALLOWANCE_TOKENS = 64
"""For each message: role names and the separators of a chat template."""

MESSAGES_PER_CALL = 6
FINDINGS_SHAPES = 5
SCHEMA_BYTES = 250
"""Of a shape beside the words in it."""
MILLION = Decimal(1_000_000)
ZERO = Decimal(0)


class Use(StrEnum):
    """What a charge was good for."""

    USEFUL = "useful"
    REPAIR = "repair"
    FAILED = "failed"
    DISCARDED = "discarded"


@dataclass
class Account:
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


def text_bytes(call: CallRequest) -> int:
    """UTF-8 bytes of everything in a call that can become tokens of its prompt."""
    texts = [call.system, call.goal or "", call.ask]
    texts += [text for source in call.sources for text in (source.name, source.text)]
    if call.rejected:
        texts += [call.rejected.answer, *call.rejected.reasons]
    if not isinstance(call.output, str):
        texts.append(str(call.output))
    found = findings_bytes(call.sources) if call.output == "findings" else 0
    return sum(len(text.encode()) for text in texts) + found


def findings_bytes(sources: Iterable[Source]) -> int:
    """What the choice of quotes adds to a prompt: the sources' sentences once more, in up to
    `FINDINGS_SHAPES` shapes of JSON Schema for each source."""
    return SCHEMA_BYTES + sum(
        len(each.text.encode()) + FINDINGS_SHAPES * (SCHEMA_BYTES + len(each.name.encode()))
        for each in sources
    )


def worst_case_usd(prompt_bytes: int, max_tokens: int, price: ModelPrice | None) -> Decimal | None:
    """The most that one call can cost; None where the price is unknown.

    A token is at least one byte, so the bytes of a prompt bound its tokens.
    """
    if price is None or price.input_usd is None or price.output_usd is None:
        return None
    prompt_tokens = prompt_bytes + MESSAGE_ALLOWANCE_TOKENS * MESSAGES_PER_CALL
    cost = (prompt_tokens * price.input_usd + max_tokens * price.output_usd) / MILLION
    return round_up(cost)


def affordable_tokens(max_tokens: int, price: ModelPrice | None, failure: Failure) -> int | None:
    """How many tokens of answer a refused call could ask for instead; None where nobody knows."""
    required, remaining = failure.required_usd, failure.remaining_usd
    if price is None or not price.output_usd or required is None or remaining is None:
        return None
    excess = (required - remaining) * MILLION / price.output_usd
    fits = max_tokens - int(excess.to_integral_value(rounding=ROUND_CEILING))
    return fits if 0 < fits < max_tokens else None


def shares(total_usd: Decimal, weights: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Splits a budget in proportion to the weights, rounded down: the parts never exceed it."""
    whole = sum(weights.values(), ZERO)
    if not whole:
        weights = dict.fromkeys(weights, Decimal(1))
        whole = Decimal(len(weights))
    return {
        name: (total_usd * weight / whole).quantize(MICRO, rounding=ROUND_FLOOR)
        for name, weight in weights.items()
    }
