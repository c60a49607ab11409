"""The spans that one module makes, in memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


@contextmanager
def spans_of(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """Replaces the module's `_tracer`."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(module, "_tracer", provider.get_tracer("test"))
    yield exporter
    provider.shutdown()
