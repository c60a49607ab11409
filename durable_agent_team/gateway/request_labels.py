"""Labels of a request for spans, metrics and log lines: team, run, task, agent and account.

The caller sends team, run, task and agent in W3C baggage; the gateway adds the account. Labels
never influence a decision. Other baggage is ignored.
"""

import re
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Final

from opentelemetry import baggage, context, trace

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
"""One dict for each request. Labels are added as they become known, and every task of the request
sees them."""

_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


def labels() -> Mapping[str, str]:
    return LABELS.get({})


def extract_labels(headers: Mapping[str, str]) -> tuple[context.Context, dict[str, str]]:
    """The caller's trace context, and its labels from the baggage."""
    from opentelemetry import propagate  # noqa: PLC0415  after OTEL_PROPAGATORS was checked

    # Bytes that are no text come as lone surrogates, for which the propagator of baggage raises.
    carrier = {name.lower(): value for name, value in headers.items() if value.isascii()}
    found = propagate.extract(carrier, context.Context())
    known = {name: _printable(baggage.get_baggage(name, found)) for name in NAMES}
    # Only the trace is kept in the context: the baggage is not passed on.
    span = trace.get_current_span(found)
    return trace.set_span_in_context(span, context.Context()), {k: v for k, v in known.items() if v}


def add_label(name: str, *values: str) -> None:
    """Adds a label to the current request, from those values that are printable and short."""
    if fit := " ".join(filter(None, map(_printable, values))):
        LABELS.get({})[name] = fit


def _printable(value: Any) -> str:
    fits = isinstance(value, str) and len(value) <= MAX_VALUE and value.isprintable()
    return value if fits else ""


def metric_labels() -> dict[str, str]:
    """Team and agent only: runs and tasks are unlimited in number."""
    known = labels()
    return {
        TEAM: _identifier(known.get(TEAM, "")),
        "gen_ai.agent.name": _identifier(known.get(AGENT, "")),
    }


def _identifier(value: str) -> str:
    return value if _IDENTIFIER.fullmatch(value) else UNKNOWN
