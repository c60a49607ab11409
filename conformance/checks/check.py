"""The shape of a check."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from conformance.adapters.adapter import Need
from conformance.bench import Bench
from conformance.outcome import Outcome


@dataclass(frozen=True)
class Check:
    """`title` says what a gateway that passes does."""

    name: str
    title: str
    run: Callable[[Bench], Awaitable[Outcome]]
    needs: frozenset[Need] = frozenset()
