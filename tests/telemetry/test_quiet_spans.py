"""Temporal's plugin records an exception with its text and its stack: neither goes out."""

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Status, StatusCode, Tracer

from durable_agent_team.process.redacted_spans import RedactingExporter


def fail(tracer: Tracer) -> None:
    with tracer.start_as_current_span("outer", attributes={"a": 1}) as span:
        span.add_event("a thing", {"b": 2})
        span.set_status(Status(StatusCode.ERROR, "ValueError: the secret plan"))
        raise ValueError("the secret plan")


def test_of_an_error_its_type_is_kept_and_of_the_rest_all() -> None:
    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(RedactingExporter(kept)))
    with pytest.raises(ValueError, match="secret"):
        fail(provider.get_tracer("test"))
    (seen,) = kept.get_finished_spans()
    assert "secret" not in seen.to_json()
    assert seen.status.status_code is StatusCode.ERROR
    assert dict(seen.attributes or {}) == {"a": 1}
    thing, exception = seen.events
    assert (thing.name, dict(thing.attributes or {})) == ("a thing", {"b": 2})
    assert (exception.attributes or {})["exception.type"] == "ValueError"
    assert seen.name == "outer"
    provider.shutdown()
