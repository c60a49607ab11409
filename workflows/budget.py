"""Pure: what each agent has, has spent and may still spend.

For planning and for showing. The guard stands where the money is, at the gateway.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_FLOOR, Decimal
from enum import StrEnum

from contracts.calls import CallRequest, CallResult
from contracts.model import MICRO, round_up
from contracts.spend import AgentSpend, AgentStatus, Ledger, ModelPrice, Totals

MESSAGE_ALLOWANCE_TOKENS = 64
"""For each message: role names and the separators of a chat template."""

MESSAGES_PER_CALL = 6
MILLION = Decimal(1_000_000)
ZERO = Decimal(0)


class Use(StrEnum):
    """What a charge was good for."""

    USEFUL = "useful"
    REPAIR = "repair"
    FAILED = "failed"


@dataclass
class Account:
    """One agent's money in one run, charge by charge. Amounts in USD."""

    agent: str
    model: str
    budget_usd: Decimal
    charges: dict[str, tuple[Decimal, Use]] = field(default_factory=dict)
    in_flight: dict[str, Decimal | None] = field(default_factory=dict)
    """Calls without a known end: idempotency key -> the most that each may cost, if known."""
    status: AgentStatus = AgentStatus.IDLE
    calls: int = 0
    failed_calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    estimated_charges: int = 0

    @property
    def spent_usd(self) -> Decimal:
        return sum((amount for amount, _ in self.charges.values()), ZERO)

    @property
    def remaining_usd(self) -> Decimal:
        return max(self.budget_usd - self.spent_usd, ZERO)

    @property
    def reserved_usd(self) -> Decimal:
        """The most that calls in flight can add: never more than what is left."""
        remaining = self.remaining_usd
        if None in self.in_flight.values():
            return remaining
        return min(sum((bound or ZERO for bound in self.in_flight.values()), ZERO), remaining)

    def begin(self, key: str, bound: Decimal | None) -> None:
        self.calls += 1
        self.in_flight[key] = bound
        self.status = AgentStatus.WORKING

    def settle(self, key: str, result: CallResult, use: Use) -> None:
        """A billed answer: it is charged whether or not it passed its checks."""
        self._end(key)
        self._charge(key, result.cost_usd, use)
        self.prompt_tokens += result.usage.prompt_tokens
        self.completion_tokens += result.usage.completion_tokens
        self.estimated_charges += result.estimated
        self.failed_calls += use is Use.FAILED

    def fail(self, key: str, spent_usd: Decimal, *, still_open: bool) -> None:
        """A call without an answer. `still_open`: the gateway may yet bill it."""
        self.failed_calls += 1
        if spent_usd:
            self._charge(key, spent_usd, Use.FAILED)
        if not still_open:
            self._end(key)

    def read_back(self, ledger: Ledger) -> bool:
        """Takes over what the ledger knows and we do not; False where the two contradict."""
        booked: dict[str, Decimal] = {}
        for line, charge in enumerate(ledger.charges):
            key = charge.idempotency_key or f"line {line}"
            booked[key] = booked.get(key, ZERO) + charge.amount_usd
            if key not in self.charges:
                self._end(key)
                self.prompt_tokens += charge.prompt_tokens
                self.completion_tokens += charge.completion_tokens
                self.estimated_charges += charge.estimated
        for key, amount in booked.items():
            if key not in self.charges:
                self._charge(key, amount, Use.FAILED)
        if ledger.reserved_usd == 0:
            self.in_flight.clear()
        contradicted = any(self.charges[key][0] != amount for key, amount in booked.items())
        return not contradicted and self.spent_usd == ledger.spent_usd

    def report(self) -> AgentSpend:
        by_use = dict.fromkeys(Use, ZERO)
        for amount, use in self.charges.values():
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
            calls=self.calls,
            failed_calls=self.failed_calls,
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
            estimated_charges=self.estimated_charges,
        )

    def _charge(self, key: str, amount: Decimal, use: Use) -> None:
        before = self.charges.get(key, (ZERO, use))[0]
        self.charges[key] = (before + amount, use)

    def _end(self, key: str) -> None:
        self.in_flight.pop(key, None)
        if not self.in_flight and self.status is AgentStatus.WORKING:
            self.status = AgentStatus.IDLE


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
    return sum(len(text.encode()) for text in texts)


def worst_case_usd(prompt_bytes: int, max_tokens: int, price: ModelPrice | None) -> Decimal | None:
    """The most that one call can cost; None where the price is unknown.

    A token is at least one byte, so the bytes of a prompt bound its tokens.
    """
    if price is None or price.input_usd is None or price.output_usd is None:
        return None
    prompt_tokens = prompt_bytes + MESSAGE_ALLOWANCE_TOKENS * MESSAGES_PER_CALL
    cost = (prompt_tokens * price.input_usd + max_tokens * price.output_usd) / MILLION
    return round_up(cost)


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
