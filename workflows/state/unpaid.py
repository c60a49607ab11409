"""Upstreams that the operator has to pay: one cause for all the calls that wait for it."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.run import Waiting


@dataclass
class UnpaidUpstream:
    """From the first call that it refused until the first one that it answers."""

    since: datetime
    notified: bool = False
    """Its one notification was sent, or has failed for good."""


def matching(unpaid: Iterable[str], upstream: str | None) -> list[str]:
    """Those of these names that a call to `upstream` says something about. Where the endpoint names
    no upstreams, any call may."""
    return [name for name in unpaid if upstream is None or name in (upstream, "")]


def one_for_each_cause(waiting: Iterable[Waiting]) -> list[Waiting]:
    """What waits for a person. All calls that an unpaid upstream refused are one entry: the first
    of them, with their number."""
    listed = list(waiting)
    counts = Counter(_cause(each) for each in listed)
    shown: dict[str, Waiting] = {}
    for each in listed:
        count = counts[_cause(each)]
        one = each.model_copy(update={"calls": count}) if count > 1 else each
        shown.setdefault(_cause(each), one)
    return list(shown.values())


def _cause(waiting: Waiting) -> str:
    if waiting.type == ErrorType.UPSTREAM_OUT_OF_FUNDS:
        return f"upstream/{waiting.upstream or ''}"
    return f"subject/{waiting.subject}"
