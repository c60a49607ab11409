"""The log of what people, and time limits, have decided: the last of it is in the run's state."""

from temporalio import workflow

from durable_agent_team.contracts.approvals import MAX_SUBJECT, Decided, Decision
from durable_agent_team.contracts.bounded_text import cut
from workflows.state.progress import Progress

MAX_DECIDED = 50
MAX_NOTE = 300


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
