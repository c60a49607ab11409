"""The headers that identify a request: its trace, and its task and run as baggage."""

from opentelemetry import baggage, trace

from durable_agent_team.contracts.telemetry_labels import IN_BAGGAGE, labels


def trace_headers() -> dict[str, str]:
    """`traceparent` and, as `baggage`, the team, run, task and agent: for the gateway's spans,
    metrics and log lines. Empty without a trace."""
    if not trace.get_current_span().get_span_context().is_valid:
        return {}
    context = baggage.clear()
    for name in IN_BAGGAGE:
        if value := labels().get(name):
            context = baggage.set_baggage(name, value, context)
    from opentelemetry import propagate  # noqa: PLC0415  after OTEL_PROPAGATORS was checked

    headers: dict[str, str] = {}
    propagate.inject(headers, context)
    return headers
