"""Removes the messages of errors from exported spans: they may quote prompts or answers."""

from collections.abc import Sequence

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import Status

EXCEPTION = "exception"
KEPT = ("exception.type", "exception.escaped")


class RedactingExporter(SpanExporter):
    """Exports spans through another exporter, redacted.

    Temporal's plugin records exceptions with message and stack trace, and repeats the message in
    the span's status.
    """

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._exporter.export([redacted(span) for span in spans])

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


def redacted(span: ReadableSpan) -> ReadableSpan:
    """The same span, with only the types of its errors."""
    if span.status.description is None and not span.events:
        return span
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=span.attributes,
        events=[_redacted_event(event) for event in span.events],
        links=span.links,
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _redacted_event(event: Event) -> Event:
    known = event.attributes or {}
    kept = {name: known[name] for name in KEPT if name in known}
    return Event(event.name, kept if event.name == EXCEPTION else known, event.timestamp)
