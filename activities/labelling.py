"""What an activity's log lines and requests say of themselves: the run, its team, and whom they
are about."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from temporalio import activity

from durable_agent_team.contracts.telemetry_labels import AGENT, LABELS, RUN, TEAM, labels


def label_activity(about: dict[str, str] | None = None) -> dict[str, str]:
    """From here on, all that this activity logs or sends says which run it belongs to."""
    known = dict(about or {})
    if team := labels().get(TEAM):
        known[TEAM] = team
    with suppress(RuntimeError):
        known[RUN] = activity.info().workflow_id or ""
    LABELS.set(known)
    return known


@contextmanager
def about_agent(agent: str) -> Iterator[None]:
    """What is done for one agent's account says so, within an activity for many."""
    token = LABELS.set({**labels(), AGENT: agent})
    try:
        yield
    finally:
        LABELS.reset(token)
