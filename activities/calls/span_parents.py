"""Where the spans of an agent with tools belong: below its `invoke_agent`, whose context travels
with each turn and each call of a tool."""

from collections.abc import Mapping

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link


def below_agent(carrier: Mapping[str, str]) -> Context | None:
    """The context that a `traceparent` names; None is the current one."""
    if not carrier:
        return None
    from opentelemetry import propagate  # noqa: PLC0415  after OTEL_PROPAGATORS was checked

    return propagate.extract(carrier)


def activity_link() -> list[Link]:
    """The current span, which is the activity's, for a span that is not below it."""
    current = trace.get_current_span().get_span_context()
    return [Link(current)] if current.is_valid else []
