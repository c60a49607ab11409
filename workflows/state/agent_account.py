"""An agent's account as the run knows it: its limit, its charges, its calls in flight.

Used to plan calls and to show figures. The gateway enforces the limit.
"""

import dataclasses
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import chain
from typing import Any

from pydantic import model_serializer, model_validator

from durable_agent_team.contracts.call import CallResult, Usage
from durable_agent_team.contracts.ledger import Ledger
from durable_agent_team.contracts.spend import AgentSpend, AgentStatus
from workflows.state.charges import NO_KEY, ZERO, Charges, Use
from workflows.state.usage_totals import UsageTotals


@dataclass
class AgentAccount:
    """One agent's money in one run, charge by charge. Amounts in USD.

    The one source for what a run spends: an agent's sum and a task's are both derived from it.
    """

    agent: str
    model: str
    budget_usd: Decimal
    charges: Charges = field(default_factory=Charges)
    in_flight: dict[str, Decimal | None] = field(default_factory=dict)
    """Calls that are awaited: idempotency key -> the most that each can cost, where known."""
    lost: dict[str, Decimal | None] = field(default_factory=dict)
    """Calls that ended without an answer, and that the gateway may still bill."""
    status: AgentStatus = AgentStatus.IDLE
    unanswered: set[str] = field(default_factory=set)
    """Calls whose charge was read back while the run did not have their answer."""
    replayable: dict[str, Decimal] = field(default_factory=dict)
    """The scopes of programs -> what failed executions have cost: the next one replays that."""
    seen_usd: Decimal = ZERO
    """The highest spend that the provider has reported with an answer."""
    failures_in_row: int = 0
    calls: int = 0
    failed_calls: int = 0
    usage: UsageTotals = field(default_factory=UsageTotals)
    possibly_billed_calls: int = 0
    """Requests that the gateway gave up after they were sent: the operator may have to pay them."""
    possibly_billed_usd: Decimal = ZERO
    """The most that these can have cost. Not charged to the account."""
    tools_usd: Decimal = ZERO
    """The part of the charges that calls of tools cost."""

    @model_serializer(mode="wrap")
    def _with_flat_usage(self, fields_of: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        """The state that a run carries has these totals beside the other fields, so that workers of
        earlier versions read it, and theirs is read here."""
        fields = fields_of(self)
        usage = fields.pop("usage")
        return {**fields, **usage}

    @model_validator(mode="before")
    @classmethod
    def _with_nested_usage(cls, fields: dict[str, Any]) -> dict[str, Any]:
        names = {each.name for each in dataclasses.fields(UsageTotals)}
        usage = {name: value for name, value in fields.items() if name in names}
        kept = {name: value for name, value in fields.items() if name not in names}
        return {**kept, "usage": usage}

    @property
    def spent_usd(self) -> Decimal:
        return self.charges.total

    @property
    def remaining_usd(self) -> Decimal:
        return max(self.budget_usd - self.spent_usd, ZERO)

    @property
    def reserved_usd(self) -> Decimal:
        """The most that calls in flight can add: never more than what is left."""
        return self._reserved(self.remaining_usd)

    @property
    def available_usd(self) -> Decimal:
        """What neither is spent nor may be needed for calls in flight."""
        return self.remaining_usd - self.reserved_usd

    def _reserved(self, remaining: Decimal) -> Decimal:
        held = ZERO
        for bound in chain(self.in_flight.values(), self.lost.values()):
            if bound is None:
                return remaining
            held += bound
        return min(held, remaining)

    def has_room(self, bound: Decimal | None) -> bool:
        """Whether a call fits next to those in flight. Without any, the gateway decides."""
        if not self.in_flight or bound is None:
            return True
        remaining = self.remaining_usd
        return self._reserved(remaining) + bound <= remaining

    def begin(self, key: str, bound: Decimal | None, task: str | None = None) -> None:
        """A call starts; `task` is the one that it works for."""
        self.charges.take_up(key)
        self._begin(key, bound, task)

    def _begin(self, key: str, bound: Decimal | None, task: str | None) -> None:
        self.calls += 1
        self.charges.issued[key] = task
        self.lost.pop(key, None)
        self.in_flight[key] = bound
        self.status = AgentStatus.WORKING

    def begin_program(self, scope: str, task: str | None) -> None:
        """An execution of a program starts: what it can cost is all that is left. What its scope
        has cost, as far as it is known, is no part of its answer's cost."""
        self._begin(scope, None, task)
        self.replayable.setdefault(scope, ZERO)

    def settle(self, key: str, result: CallResult, use: Use) -> None:
        """A billed answer: it is charged whether or not it passed its checks.

        Where the charge was read back from the ledger already, the answer replaces it. A program's
        answer also gives their use to the failed executions that it has replayed.
        """
        self._end(key)
        is_program = key in self.replayable
        if is_program:
            self.charges.replace(key, Use.USEFUL, ZERO)
            if use is not Use.FAILED:
                self.charges.move(key, Use.FAILED, use, self.replayable.pop(key))
        elif result.replayed:  # an activity before may have reported this charge as it failed
            earlier = self.charges.of_use(key, Use.FAILED)
            self.charges.replace(key, Use.FAILED, max(earlier - result.cost_usd, ZERO))
        was_read_back = key in self.unanswered
        if was_read_back:
            self.unanswered.discard(key)
            self.charges.replace(key, Use.FAILED, ZERO)
        for purpose, amount in ((use, result.cost_usd), (Use.FAILED, result.failed_attempts_usd)):
            if amount:
                self.charges.add(key, purpose, amount)
        if is_program:
            self.usage.add_program(key, result.usage)
        elif not was_read_back:
            self.usage.add(result.usage, estimated=result.estimated)
        self.seen_usd = max(self.seen_usd, result.account_spent_usd or ZERO)
        self._possibly_billed(
            result.account_possibly_billed_calls, result.account_possibly_billed_usd
        )
        self._count_result(use is not Use.FAILED)

    def fail(self, key: str, spent_usd: Decimal, *, may_be_billed: bool) -> None:
        """A call without an answer, and what its attempts are known to have cost."""
        self._count_result(False)
        bound = self.in_flight.get(key)
        self._end(key)
        self._record_failed(key, spent_usd, bound if may_be_billed else ZERO)

    def withdraw(self, key: str, *, may_be_billed: bool = False, spent_usd: Decimal = ZERO) -> None:
        """A call that was refused before it started, and will be made again; `may_be_billed` where
        an attempt before the refused one was admitted. `spent_usd` is what a program had cost when
        one of its own calls was refused."""
        self.calls -= 1
        bound = self.in_flight.get(key)
        self._end(key)
        if key in self.replayable:
            self._record_execution(key, spent_usd, may_be_billed=may_be_billed)
        elif may_be_billed:
            self.lost[key] = bound

    def interrupt(self, key: str, spent_usd: Decimal, *, may_be_billed: bool) -> None:
        """A call whose attempts so far have failed, and that is going to be attempted again."""
        self.calls -= 1
        bound = self.in_flight.get(key)
        self._end(key)
        self._record_failed(key, spent_usd, bound if may_be_billed else ZERO)

    def _record_failed(self, key: str, spent_usd: Decimal, bound: Decimal | None) -> None:
        """What failed attempts have cost; without a known cost, the `bound` that may be billed."""
        if key in self.replayable:
            self._record_execution(key, spent_usd, may_be_billed=bound != ZERO)
        elif spent_usd and key in self.unanswered:
            self.charges.replace(key, Use.FAILED, spent_usd)
        elif spent_usd:
            self.charges.add(key, Use.FAILED, spent_usd)
        elif bound != ZERO:
            self.lost[key] = bound

    def _record_execution(self, scope: str, spent_usd: Decimal, *, may_be_billed: bool) -> None:
        """What a program's execution without an answer has cost, as it reported or as the ledger
        showed while it ran. A call may still be in flight at the gateway."""
        cost = max(spent_usd, self.charges.of_use(scope, Use.USEFUL))
        self.charges.replace(scope, Use.USEFUL, ZERO)
        if cost:
            self.charges.add(scope, Use.FAILED, cost)
            self.replayable[scope] += cost
        if may_be_billed:
            self.lost[scope] = None

    def begin_tool(self, key: str, price_usd: Decimal, task: str | None) -> None:
        """A call of a tool that has a price starts, perhaps once more under its key."""
        self.charges.take_up(key)
        self.charges.issued[key] = task
        self.lost.pop(key, None)
        self.in_flight[key] = price_usd
        self.status = AgentStatus.WORKING

    def settle_tool(self, key: str, charged_usd: Decimal) -> None:
        """A call of a tool has ended, and this is what it costs in all: perhaps nothing."""
        self._end(key)
        self.lost.pop(key, None)
        self.unanswered.discard(key)
        before = self.charges.of_key(key)
        for use in (Use.FAILED, Use.USEFUL):
            self.charges.replace(key, use, ZERO)
        if charged_usd:
            self.charges.add(key, Use.USEFUL, charged_usd)
        self.tools_usd += charged_usd - before

    def lose_tool(self, key: str, price_usd: Decimal) -> None:
        """A call of a tool may have run: its price stays reserved until a person decides, or until
        the account is closed."""
        self._end(key)
        self.lost[key] = price_usd

    def observe(self, ledger: Ledger) -> None:
        """Adds what the programs in flight have cost so far."""
        self._count_programs(ledger)
        for scope, amount in ledger.by_key().items():
            self.show_program(scope, amount)

    def show_program(self, scope: str, spent_usd: Decimal, usage: Usage | None = None) -> None:
        """What a program in flight has cost so far, in all. It counts as useful until it ends. A
        figure that comes late, after a higher one or after the program's end, changes nothing."""
        if scope not in self.replayable or scope not in self.in_flight:
            return
        missing = spent_usd - self.charges.of_key(scope)
        if missing > 0:
            self.charges.add(scope, Use.USEFUL, missing)
        if usage is not None:
            self.usage.add_program(scope, usage)

    @property
    def is_unexplained(self) -> bool:
        """The provider has charged for calls that are not in this history: the run was reset."""
        return not self.in_flight and not self.lost and self.seen_usd > self.spent_usd

    def exhaust(self) -> None:
        self.status = AgentStatus.EXHAUSTED

    def park(self) -> None:
        self.status = AgentStatus.PARKED

    def unpark(self, *, still_parked: bool) -> None:
        """A person has dealt with it: the failures before no longer count."""
        self.failures_in_row = 0
        if not still_parked:
            self._reset_status()

    def limit(self, budget_usd: Decimal) -> None:
        """A new limit. An exhausted agent may try again."""
        self.budget_usd = budget_usd
        if self.status is AgentStatus.EXHAUSTED:
            self._reset_status()

    def close(self) -> None:
        """No call is awaited any more; the ledger will show what became of those in flight."""
        self.lost.update(self.in_flight)
        self.in_flight.clear()
        self.status = AgentStatus.CLOSED

    def read_back(self, ledger: Ledger, lost: Collection[str] | None = None) -> None:
        """Adds the charges of calls whose answer never arrived. `lost` are the calls that were lost
        when the ledger was requested, by default all: it may not show those lost since then."""
        self._possibly_billed(ledger.possibly_billed_calls, ledger.possibly_billed_usd)
        amounts, issued = ledger.by_key(), self.charges.issued
        known = {key for key in amounts if key in self.charges.by_key or key in self.in_flight}
        counts_unknown = not self.charges.settled_usd
        for key, amount in amounts.items():
            missing = amount - self.charges.of_key(key)
            if missing > 0 and key in issued and key not in self.in_flight:
                self.charges.add(key, Use.FAILED, missing)
                self.lost.pop(key, None)
                if key in self.replayable:
                    self.replayable[key] += missing
                elif key not in known:
                    self.unanswered.add(key)
        self.charges.add_unknown(
            (
                (key, amount)
                for key, amount in amounts.items()
                if key not in issued and key not in self.in_flight
            ),
            are_all=bool(amounts) and ledger.charged_usd == ledger.spent_usd,
        )
        self._count_programs(ledger)
        for charge in ledger.charges:
            key = charge.idempotency_key or NO_KEY
            if charge.scope is None and key not in known and (key in issued or counts_unknown):
                self.usage.add(charge, estimated=charge.estimated)
        if ledger.reserved_usd == 0:
            for key in list(self.lost if lost is None else lost):
                self.lost.pop(key, None)

    def continue_with(self, keys: Collection[str]) -> None:
        """For the next execution: of the calls that have ended, only the sums are kept. `keys` are
        those of calls that may be made again."""
        open_keys = {*keys, *self.in_flight, *self.lost, *self.unanswered}
        self.charges.settle_all_but(open_keys)
        self.usage.forget_programs_but(open_keys)

    def agrees_with(self, ledger: Ledger) -> bool:
        """Whether both agree to the micro-dollar, and call by call where the ledger has lines."""
        if ledger.reserved_usd or self.spent_usd != ledger.spent_usd:
            return False
        return not ledger.charges or self.charges.agree_with(ledger)

    def report(self) -> AgentSpend:
        by_use = self.charges.by_use
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
            prompt_tokens=self.usage.prompt_tokens,
            completion_tokens=self.usage.completion_tokens,
            estimated_charges=self.usage.estimated_charges,
            possibly_billed_calls=self.possibly_billed_calls,
            possibly_billed_usd=self.possibly_billed_usd,
            **self.usage.kinds(),
            **({"tools_usd": self.tools_usd} if self.tools_usd else {}),
        )

    def _possibly_billed(self, calls: int, usd: Decimal) -> None:
        """The account's totals, as the provider reported them at some time; they only grow."""
        self.possibly_billed_calls = max(self.possibly_billed_calls, calls)
        self.possibly_billed_usd = max(self.possibly_billed_usd, usd)

    def _count_programs(self, ledger: Ledger) -> None:
        """What programs' calls have used since the ledger was read before."""
        in_full = not self.charges.settled_usd
        self.usage.add_programs(
            charge
            for charge in ledger.charges
            if charge.scope is not None and (charge.scope in self.charges.issued or in_full)
        )

    def _end(self, key: str) -> None:
        self.in_flight.pop(key, None)
        if not self.in_flight and self.status is AgentStatus.WORKING:
            self.status = AgentStatus.IDLE

    def _reset_status(self) -> None:
        self.status = AgentStatus.WORKING if self.in_flight else AgentStatus.IDLE

    def _count_result(self, good: bool) -> None:
        self.failed_calls += not good
        self.failures_in_row = 0 if good else self.failures_in_row + 1
