"""A check's verdict and its evidence."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any


class Verdict(enum.StrEnum):
    PASS = "pass"
    FAIL = "fail"
    NOT_APPLICABLE = "not applicable"


Fact = int | str | Decimal | None


@dataclass(frozen=True)
class Outcome:
    """`reasons`: the claims that do not hold, or why the check is not applicable."""

    verdict: Verdict
    facts: Mapping[str, Fact] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()

    def evidence(self) -> str:
        facts = ", ".join(f"{name} {shown(value)}" for name, value in self.facts.items())
        return "; ".join([*self.reasons, *([facts] if facts else [])])


@dataclass(frozen=True)
class Claim:
    """What has to hold, and the words for the case that it does not."""

    holds: bool
    otherwise: str


def judged(facts: Mapping[str, Fact], *claims: Claim) -> Outcome:
    reasons = tuple(claim.otherwise for claim in claims if not claim.holds)
    return Outcome(Verdict.FAIL if reasons else Verdict.PASS, facts, reasons)


def not_applicable(why: str) -> Outcome:
    return Outcome(Verdict.NOT_APPLICABLE, {}, (why,))


def shown(value: Fact) -> str:
    """Money without trailing zeros, to a billionth of a dollar: floats of other gateways."""
    if not isinstance(value, Decimal):
        return "unknown" if value is None else str(value)
    return f"${round(value, 9).normalize():f}"


def as_json(value: Fact) -> Any:
    return shown(value).removeprefix("$") if isinstance(value, Decimal) else value
