"""The labels of log lines, spans and metrics, and the header that carries the team to activities.
Names and ids only: never a text, never an account's key."""

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Final

TEAM: Final = "agent_team.team"
RUN: Final = "agent_team.run"
"""The workflow id."""
TASK: Final = "agent_team.task"
AGENT: Final = "agent_team.agent"
CALL_KEY: Final = "agent_team.call_key"
"""The call's idempotency key: as in the ledger."""

TRACE_ID: Final = "trace_id"
SPAN_ID: Final = "span_id"
"""The call's span, for lines that come when it has ended."""

IN_BAGGAGE: Final = (TEAM, RUN, TASK, AGENT)
"""Sent to the gateway along with the trace."""

TEAM_HEADER: Final = "agent-team"
"""Temporal's header on activities, set by workers whose telemetry is on."""

RUN_SPAN_HEADER: Final = "agent-team-run-span"
"""Temporal's header on a run that continues as new: the span of the whole run."""

BEGIN_SPAN: Final = "agent_team.begin_span"
END_SPAN: Final = "agent_team.end_span"
"""Names of functions that a worker whose traces are on offers to the workflow."""

UNKNOWN: Final = "unknown"

LABELS: ContextVar[Mapping[str, str]] = ContextVar("labels")
"""Set in an activity's own context and never reset: the SDK's last line about it has them too."""


def labels() -> Mapping[str, str]:
    return LABELS.get({})
