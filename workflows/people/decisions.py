"""The log of what people, and time limits, have decided: the last of it is in the run's state."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from temporalio import workflow

from durable_agent_team.contracts.approvals import MAX_SUBJECT, Decided, Decision
from durable_agent_team.contracts.bounded_text import cut
from workflows.state.progress import Progress

MESSAGES_FIRST = "messages-before-a-passed-limit"
"""The patch since which what was sent meanwhile counts at a limit that has passed already."""
UNDER_WAY = "decisions-under-way-at-a-limit"
"""The patch since which a limit waits for what a person has sent and an activity still carries
out."""
A_MOMENT = timedelta(milliseconds=1)
MAX_DECIDED = 50
MAX_NOTE = 300


def time_left(until: datetime) -> timedelta:
    """Until a time limit. One that has passed between two executions of the run leaves a moment, in
    which the messages that came meanwhile are carried out."""
    left = until - workflow.now()
    if left > timedelta(0):
        return left
    return A_MOMENT if workflow.patched(MESSAGES_FIRST) else timedelta(0)


class UnderWay:
    """What people have sent that takes an activity, by what it is for. It has come before a limit
    that passes meanwhile, and no handler outlasts an execution of the run."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    @contextmanager
    def begun(self, name: str) -> Iterator[None]:
        self._counts[name] += 1
        try:
            yield
        finally:
            self._counts[name] -= 1

    def __contains__(self, name: str) -> bool:
        return self._counts[name] > 0


def note_decision(
    progress: Progress,
    subject: str,
    decision: Decision,
    by: str,
    note: str = "",
) -> Decided:
    """Adds it to the log."""
    more = {name: value for name, value in {"by": by, "note": cut(note, MAX_NOTE)}.items() if value}
    found = Decided(subject=subject[:MAX_SUBJECT], decision=decision, at=workflow.now(), **more)
    progress.decided = [*progress.decided, found][-MAX_DECIDED:]
    return found
