"""Labels for an activity's log lines and requests: the run, its team, and the agent."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from temporalio import activity

from durable_agent_team.contracts.telemetry_labels import AGENT, LABELS, RUN, TEAM, labels


def label_activity(about: dict[str, str] | None = None) -> dict[str, str]:
    """Labels everything that this activity logs or sends from here on."""
    known = dict(about or {})
    if team := labels().get(TEAM):
        known[TEAM] = team
    with suppress(RuntimeError):
        known[RUN] = activity.info().workflow_id or ""
    LABELS.set(known)
    return known


@contextmanager
def about_agent(agent: str) -> Iterator[None]:
    """Adds one agent's label, inside an activity that handles several accounts."""
    token = LABELS.set({**labels(), AGENT: agent})
    try:
        yield
    finally:
        LABELS.reset(token)
