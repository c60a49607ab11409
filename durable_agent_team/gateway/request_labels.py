"""Whose a request is: for spans, metrics and log lines. The caller tells run, task and agent in W3C
baggage; the account that a request is about the gateway knows by itself.

Nothing is decided by it. Other baggage than ours is not looked at.
"""

import re
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Final

from opentelemetry import baggage, context, propagate, trace

TEAM: Final = "agent_team.team"
RUN: Final = "agent_team.run"
TASK: Final = "agent_team.task"
AGENT: Final = "agent_team.agent"
CALL_KEY: Final = "agent_team.call_key"
ACCOUNT: Final = "gateway.account"
ACCOUNT_NAME: Final = "gateway.account_name"
NAMES: Final = (TEAM, RUN, TASK, AGENT)
LOG_FIELDS: Final = {
    RUN: "workflow_id",
    TEAM: "team",
    TASK: "task",
    AGENT: "agent",
    CALL_KEY: "call_key",
    ACCOUNT: "account",
    ACCOUNT_NAME: "account_name",
}
MAX_VALUE: Final = 200
UNKNOWN: Final = "unknown"

LABELS: ContextVar[dict[str, str]] = ContextVar("gateway_labels")
"""One for each request, filled while more becomes known: what goes on beside it sees that too."""

_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


def labels() -> Mapping[str, str]:
    return LABELS.get({})


def extracted(headers: Mapping[str, str]) -> tuple[context.Context, dict[str, str]]:
    """The caller's trace, and what it says of itself, bounded."""
    carrier = {name.lower(): value for name, value in headers.items()}
    found = propagate.extract(carrier, context.Context())
    known = {name: shown(baggage.get_baggage(name, found)) for name in NAMES}
    # Only the trace goes on in our context: what else was in the baggage ends here.
    span = trace.get_current_span(found)
    return trace.set_span_in_context(span, context.Context()), {k: v for k, v in known.items() if v}


def add(name: str, *values: str) -> None:
    """One more label of the request that this belongs to: what of the values can be shown."""
    if fit := " ".join(filter(None, map(shown, values))):
        LABELS.get({})[name] = fit


def shown(value: Any) -> str:
    fits = isinstance(value, str) and len(value) <= MAX_VALUE and value.isprintable()
    return value if fits else ""


def metric_labels() -> dict[str, str]:
    """Team and agent alone: of runs and tasks there is no end."""
    known = labels()
    return {
        TEAM: _identifier(known.get(TEAM, "")),
        "gen_ai.agent.name": _identifier(known.get(AGENT, "")),
    }


def _identifier(value: str) -> str:
    return value if _IDENTIFIER.fullmatch(value) else UNKNOWN
