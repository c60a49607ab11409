"""OpenTelemetry by the standard OTEL_* variables: one trace a run. Off costs nothing."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from temporalio.contrib.opentelemetry import OpenTelemetryPlugin, ReplaySafeTracerProvider

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
FLUSH_MILLISECONDS = 3_000

_provider: "ReplaySafeTracerProvider | None" = None


def wanted(environ: Mapping[str, str] | None = None) -> bool:
    """Whether OTEL_* asks for traces: an endpoint or an exporter is named, and none forbids it."""
    values = os.environ if environ is None else environ
    if values.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    exporter = values.get("OTEL_TRACES_EXPORTER", "")
    if exporter == "none":
        return False
    return exporter == "otlp" or any(values.get(name) for name in ENDPOINTS)


def plugins(service: str = "durable-agent-team") -> "list[OpenTelemetryPlugin]":
    """The Temporal client's plugins: none unless telemetry is wanted."""
    if not wanted():
        return []
    # Imported here: a command without telemetry does not pay for loading it.
    from opentelemetry import trace  # noqa: PLC0415
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    from temporalio.contrib.opentelemetry import (  # noqa: PLC0415
        OpenTelemetryPlugin,
        create_tracer_provider,
    )

    global _provider
    if _provider is None:
        name = os.environ.get("OTEL_SERVICE_NAME", service)
        resource = Resource.create({"service.name": name})
        # Flushed by `leave`: nothing of ours waits for the interpreter's teardown.
        _provider = create_tracer_provider(resource=resource, shutdown_on_exit=False)
        _provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        trace.set_tracer_provider(_provider)
    return [OpenTelemetryPlugin(add_temporal_spans=True)]


def flush() -> None:
    """Sends what is waiting, for at most three seconds."""
    if _provider is not None:
        _provider.force_flush(FLUSH_MILLISECONDS)
