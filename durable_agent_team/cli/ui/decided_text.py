"""Pure: who decided what, and when."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from durable_agent_team.cli.output import flat
from durable_agent_team.contracts.approvals import Decided
from durable_agent_team.rules.safe_text import one_line

WORDS = {
    "edited": "approved with other arguments",
    "retry": "to be tried again",
    "skip": "left out",
    "result": "answered with a result",
}


def decided_text(decided: Decided) -> str:
    """Such as `settle:2.1 rejected by ann@desk at 2026-11-29 10:05 UTC: not delivered`."""
    word = WORDS.get(decided.decision, decided.decision)
    note = f": {one_line(flat(decided.note))}" if decided.note else ""
    return f"{one_line(decided.subject)} {word} {who_and_when(decided.by, decided.at)}{note}"


def decided_lines(decisions: Sequence[Decided]) -> Iterator[str]:
    yield from (f"  {decided_text(each)}" for each in decisions)


def who_and_when(by: str, at: datetime) -> str:
    """What an operator's client says of him is not trusted to be one line."""
    who = f"by {one_line(flat(by))} " if by else ""
    return f"{who}at {at:%Y-%m-%d %H:%M} UTC"
