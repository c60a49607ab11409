"""OpenTelemetry providers of the gateway. The SDK is imported only if an OTEL_* variable asks for
it."""

import threading
import time
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING

from opentelemetry import metrics, trace

from durable_agent_team.gateway.instruments import Instruments
from durable_agent_team.providers.otel_variables import wanted

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import SpanProcessor

SERVICE = "atxp-gateway"
CLOSE_SECONDS = 5.0


class GatewayTelemetry:
    """Tracer and instruments of one gateway. They are not global, so that several gateways can run
    in one process. Without a processor there are no spans, without a reader no metrics."""

    def __init__(
        self, processor: "SpanProcessor | None" = None, reader: "MetricReader | None" = None
    ) -> None:
        # Imported here, so that a gateway without telemetry does not load the SDK.
        from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415

        resource = _resource()
        self._providers: list[TracerProvider | MeterProvider] = []
        self.tracer: trace.Tracer = trace.NoOpTracer()
        meter: metrics.Meter = metrics.NoOpMeter("gateway")
        if processor is not None:
            traces = TracerProvider(resource=resource, shutdown_on_exit=False)
            traces.add_span_processor(processor)
            self.tracer = traces.get_tracer("gateway")
            self._providers.append(traces)
        if reader is not None:
            provider = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
            meter = provider.get_meter("gateway")
            self._providers.append(provider)
        self.instruments = Instruments(meter)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "GatewayTelemetry | None":
        """The signals that the variables turn on; None if they turn on none."""
        traces, measures = wanted(environment), wanted(environment, "metrics")
        if not traces and not measures:
            return None
        return cls(_span_processor() if traces else None, _reader() if measures else None)

    def close(self) -> None:
        """Sends what is queued, within CLOSE_SECONDS. The exporters themselves would wait longer
        for a collector that does not answer."""
        closing = [threading.Thread(target=p.shutdown, daemon=True) for p in self._providers]
        for thread in closing:
            thread.start()
        deadline = time.monotonic() + CLOSE_SECONDS
        for thread in closing:
            thread.join(max(0.0, deadline - time.monotonic()))


def _resource() -> "Resource":
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415

    return Resource.create({"service.name": SERVICE, "service.instance.id": str(uuid.uuid4())})


def _span_processor() -> "SpanProcessor":
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    return BatchSpanProcessor(OTLPSpanExporter())


def _reader() -> "MetricReader":
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import (  # noqa: PLC0415
        OTLPMetricExporter,
    )
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader  # noqa: PLC0415

    return PeriodicExportingMetricReader(OTLPMetricExporter())
