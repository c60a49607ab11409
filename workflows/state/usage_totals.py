"""What an agent's calls have used, in all: tokens of each kind, and what caching saved."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from durable_agent_team.contracts.call import Usage
from durable_agent_team.contracts.ledger import Charge

COUNTED = tuple(Usage.model_fields)


@dataclass
class UsageTotals:
    """Sums over calls. Those of programs are counted as their ledger or their signals show them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    estimated_charges: int = 0
    """Calls whose provider did not report what they used."""
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    saved_usd: Decimal = Decimal(0)
    used_by_programs: dict[str, Usage] = field(default_factory=dict)
    """Scopes of programs -> the part of the sums that is theirs."""

    def add(self, used: Usage | Charge, *, estimated: bool = False) -> None:
        self.prompt_tokens += used.prompt_tokens
        self.completion_tokens += used.completion_tokens
        self.cached_tokens += used.cached_tokens
        self.cache_write_tokens += used.cache_write_tokens
        self.reasoning_tokens += used.reasoning_tokens
        self.saved_usd += used.saved_usd
        self.estimated_charges += estimated

    def add_program(self, scope: str, now: Usage) -> None:
        """`now` is what the program's calls have used so far, in all. Figures that are older than
        known ones, or come from a gateway that reports none, count nothing."""
        before = self.used_by_programs.get(scope, Usage())
        if now.prompt_tokens + now.completion_tokens <= (
            before.prompt_tokens + before.completion_tokens
        ):
            return
        new = {name: getattr(now, name) - getattr(before, name) for name in COUNTED}
        self.add(Usage.model_construct(**new))
        self.used_by_programs[scope] = now

    def add_programs(self, charges: Iterable[Charge]) -> None:
        """All charges that the ledger has of some scopes."""
        used: dict[str, list[Charge]] = {}
        for charge in charges:
            used.setdefault(charge.scope or "", []).append(charge)
        for scope, of_scope in used.items():
            sums = {name: sum(getattr(each, name) for each in of_scope) for name in COUNTED}
            self.add_program(scope, Usage(**sums))

    def forget_programs_but(self, scopes: Collection[str]) -> None:
        """Only the sums remain of programs that cannot use more."""
        kept = {scope: used for scope, used in self.used_by_programs.items() if scope in scopes}
        self.used_by_programs = kept

    def kinds(self) -> dict[str, Any]:
        """The figures for a report, without zeros, so that `spend` of many agents stays small."""
        figures = {
            "cached_tokens": self.cached_tokens,
            "cache_write_tokens": self.cache_write_tokens,
            "reasoning_tokens": self.reasoning_tokens,
            "saved_usd": self.saved_usd,
        }
        return {name: figure for name, figure in figures.items() if figure}
