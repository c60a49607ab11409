"""What an agent's calls have cost: call by call, and in sums that are kept up to date."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from durable_agent_team.contracts.ledger import Ledger

ZERO = Decimal(0)
NO_KEY = ""
"""Stands for the charges of calls that this execution does not know one by one."""


class Use(StrEnum):
    """What a charge paid for."""

    USEFUL = "useful"
    REPAIR = "repair"
    FAILED = "failed"
    DISCARDED = "discarded"


@dataclass
class Charges:
    """The charges of one account, in USD. An agent's sum and a task's come from the same lines."""

    by_key: dict[str, dict[Use, Decimal]] = field(default_factory=dict)
    """By idempotency key and use: a successful call may have paid for failed attempts before."""
    by_use: dict[Use, Decimal] = field(default_factory=lambda: dict.fromkeys(Use, ZERO))
    """The sums of all charges, those of earlier executions included."""
    by_task: dict[str, Decimal] = field(default_factory=dict)
    """What each task's calls have cost. Charges of unknown keys belong to no task."""
    issued: dict[str, str | None] = field(default_factory=dict)
    """The calls of this execution: idempotency key -> the task; None for the orchestrator's own."""
    settled_usd: Decimal = ZERO
    """The part of the sums that calls of earlier executions cost, which are not listed any more."""

    @property
    def total(self) -> Decimal:
        return sum(self.by_use.values(), ZERO)

    def of_key(self, key: str) -> Decimal:
        return sum(self.by_key.get(key, {}).values(), ZERO)

    def of_use(self, key: str, use: Use) -> Decimal:
        return self.by_key.get(key, {}).get(use, ZERO)

    def move(self, key: str, use: Use, to: Use, amount: Decimal) -> None:
        """What was counted as one use turns out to be another."""
        if amount:
            self.replace(key, use, self.of_use(key, use) - amount)
            self.add(key, to, amount)

    def add(self, key: str, use: Use, amount: Decimal) -> None:
        uses = self.by_key.setdefault(key, {})
        uses[use] = uses.get(use, ZERO) + amount
        self._sum(key, use, amount)

    def replace(self, key: str, use: Use, amount: Decimal) -> None:
        """Makes this the key's charge for this use."""
        uses = self.by_key.setdefault(key, {})
        before = uses.pop(use, ZERO)
        if amount:
            uses[use] = amount
        if not uses:
            del self.by_key[key]
        self._sum(key, use, amount - before)

    def _sum(self, key: str, use: Use, amount: Decimal) -> None:
        self.by_use[use] += amount
        task = self.issued.get(key)
        if task is not None:
            self.by_task[task] = self.by_task.get(task, ZERO) + amount

    def settle_all_but(self, keys: Collection[str]) -> None:
        """Keeps only the sums of all calls but these: no other call can change any more. What is
        discarded stays apart: it may belong to a call that this history has yet to make."""
        for key in [each for each in self.by_key if each not in keys and each != NO_KEY]:
            if discarded := self.of_use(key, Use.DISCARDED):
                unknown = self.by_key.setdefault(NO_KEY, {})
                unknown[Use.DISCARDED] = unknown.get(Use.DISCARDED, ZERO) + discarded
            self.settled_usd += self.of_key(key) - discarded
            del self.by_key[key]
        self.issued = {key: task for key, task in self.issued.items() if key in keys}

    def agree_with(self, ledger: Ledger) -> bool:
        """Call by call, as far as the calls are listed; the rest in sum."""
        amounts = ledger.by_key()
        listed = [key for key in self.by_key if key != NO_KEY]
        if any(amounts.pop(key, None) != self.of_key(key) for key in listed):
            return False
        return sum(amounts.values(), ZERO) == self.settled_usd + self.of_key(NO_KEY)

    def take_up(self, key: str) -> None:
        """A call with this key starts: what seemed to be of a call that a reset discarded is its
        own. The history is older than the ledger, as after a restored backup."""
        if self.of_use(key, Use.DISCARDED):
            self.replace(key, Use.DISCARDED, ZERO)

    def add_unknown(self, amounts: Iterable[tuple[str, Decimal]], *, are_all: bool = False) -> None:
        """Charges, by key, of calls that are not in this history: of earlier executions, whose sum
        is known, or discarded by a reset of the run. Where these `are_all` of the ledger, less
        may be discarded than it seemed, since the run has taken some of it up again."""
        if not self.settled_usd:
            for key, amount in amounts:
                if (missing := amount - self.of_key(key)) > 0:
                    self.add(key, Use.DISCARDED, missing)
            return
        unlisted = (amount for key, amount in amounts if key == NO_KEY or key not in self.by_key)
        unknown = max(sum(unlisted, ZERO) - self.settled_usd, ZERO)
        before = self.of_use(NO_KEY, Use.DISCARDED)
        if unknown > before or (are_all and unknown < before):
            self.replace(NO_KEY, Use.DISCARDED, unknown)
