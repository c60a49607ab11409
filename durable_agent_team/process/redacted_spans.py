"""Spans on their way out, without the texts of errors: those may quote what somebody wrote."""

from collections.abc import Sequence

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import Status

EXCEPTION = "exception"
KEPT = ("exception.type", "exception.escaped")


class QuietExporter(SpanExporter):
    """Temporal's plugin records exceptions with message and stack, and says them in the status."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._exporter.export([quiet(span) for span in spans])

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


def quiet(span: ReadableSpan) -> ReadableSpan:
    """The same span; of its errors, the types."""
    if span.status.description is None and not span.events:
        return span
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=span.attributes,
        events=[_quiet_event(event) for event in span.events],
        links=span.links,
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _quiet_event(event: Event) -> Event:
    known = event.attributes or {}
    kept = {name: known[name] for name in KEPT if name in known}
    return Event(event.name, kept if event.name == EXCEPTION else known, event.timestamp)
