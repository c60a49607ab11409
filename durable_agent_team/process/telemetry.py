"""OpenTelemetry traces and metrics, configured by the standard OTEL_* variables; off by default.

While both are off, OpenTelemetry's SDK is not imported. Exports use OTLP over HTTP with protobuf.
"""

import os
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from durable_agent_team.providers.otel_variables import wanted

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from temporalio.contrib.opentelemetry import OpenTelemetryPlugin, ReplaySafeTracerProvider
    from temporalio.worker import Interceptor

SERVICE: Final = "durable-agent-team"
FLUSH_SECONDS: Final = 3.0

_traces: "ReplaySafeTracerProvider | None" = None
_spans: "BatchSpanProcessor | None" = None
_metrics: "MeterProvider | None" = None
_resource: "Resource | None" = None


def plugins(service: str = SERVICE) -> "list[OpenTelemetryPlugin]":
    """The Temporal client's plugins: none unless traces are wanted."""
    if not wanted(os.environ):
        return []
    # Imported here, so that a command without telemetry does not spend time on loading it.
    from opentelemetry import trace  # noqa: PLC0415
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    from temporalio.contrib.opentelemetry import (  # noqa: PLC0415
        OpenTelemetryPlugin,
        create_tracer_provider,
    )

    from durable_agent_team.process.redacted_spans import RedactingExporter  # noqa: PLC0415

    global _traces, _spans
    if _traces is None:
        # Flushed by `exit_process`, which skips the interpreter's shutdown.
        _traces = create_tracer_provider(resource=resource(service), shutdown_on_exit=False)
        _spans = BatchSpanProcessor(RedactingExporter(OTLPSpanExporter()))
        _traces.add_span_processor(_spans)
        trace.set_tracer_provider(_traces)
    return [OpenTelemetryPlugin(add_temporal_spans=True)]


def run_spans(service: str = SERVICE) -> "list[Interceptor]":
    """The worker's interceptor for spans of whole runs; none unless `plugins` has begun traces."""
    if _spans is None:
        return []
    from durable_agent_team.process.run_spans import RunSpans  # noqa: PLC0415

    return [RunSpans(_spans.on_end, resource(service))]


def start_metrics(service: str = SERVICE) -> bool:
    """Starts the worker's own metrics (`temporal_runtime`: the SDK's); False if they are off."""
    global _metrics
    if not wanted(os.environ, "metrics"):
        return False
    if _metrics is not None:
        return True
    from opentelemetry import metrics  # noqa: PLC0415
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import (  # noqa: PLC0415
        OTLPMetricExporter,
    )
    from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader  # noqa: PLC0415

    reader = PeriodicExportingMetricReader(OTLPMetricExporter())
    _metrics = MeterProvider([reader], resource=resource(service), shutdown_on_exit=False)
    metrics.set_meter_provider(_metrics)
    return True


def observe_tasks(totals: Callable[[], Iterable[tuple[Mapping[str, str], int]]]) -> None:
    """Registers the gauge of tasks by state, which reads `totals` at every export."""
    from opentelemetry import metrics  # noqa: PLC0415

    def observations(_: Any) -> list[metrics.Observation]:
        return [metrics.Observation(count, dict(attributes)) for attributes, count in totals()]

    metrics.get_meter("agent_team").create_observable_gauge(
        "agent_team.tasks",
        [observations],
        unit="{task}",
        description="Tasks that have not ended, of the runs that this worker holds in memory.",
    )


def resource(service: str) -> "Resource":
    """The sender's identity: `service.instance.id` distinguishes workers with the same name."""
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415

    global _resource
    if _resource is None:
        name = os.environ.get("OTEL_SERVICE_NAME") or service
        _resource = Resource.create(
            {"service.name": name, "service.instance.id": str(uuid.uuid4())}
        )
    return _resource


def flush(seconds: float = FLUSH_SECONDS) -> None:
    """Exports what is pending, within `seconds`; what an unresponsive collector has not accepted by
    then is lost. The exporters' own timeouts would delay a command by 20 s."""
    providers = [each for each in (_traces, _metrics) if each is not None]
    sending = [threading.Thread(target=_flush, args=(each,), daemon=True) for each in providers]
    for thread in sending:
        thread.start()
    deadline = time.monotonic() + seconds
    for thread in sending:
        thread.join(max(0.0, deadline - time.monotonic()))


def _flush(provider: "ReplaySafeTracerProvider | MeterProvider") -> None:
    with suppress(Exception):
        provider.force_flush()
