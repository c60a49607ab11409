"""OpenTelemetry: spans and metrics of the gateway. Off unless OTEL_* asks, and then not loaded."""

import re
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from opentelemetry import metrics, trace

from durable_agent_team.gateway.amounts import usd
from durable_agent_team.gateway.api_error import ApiError
from durable_agent_team.gateway.calls.gateway_calls import CallOutcome
from durable_agent_team.gateway.instruments import Instruments
from durable_agent_team.gateway.request_labels import UNKNOWN

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import SpanProcessor

SERVICE = "atxp-gateway"
CLOSE_SECONDS = 5.0
PROTOCOL = "http/protobuf"
_CODE = re.compile(r"[a-z0-9_.-]{1,60}")


def wanted(environment: Mapping[str, str], signal: Literal["traces", "metrics"] = "traces") -> bool:
    """As the standard variables say: an endpoint or an exporter is named, and it is not off."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporters = environment.get(f"OTEL_{signal.upper()}_EXPORTER", "").lower().split(",")
    if "none" in exporters:
        return False
    endpoints = ("OTEL_EXPORTER_OTLP_ENDPOINT", f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT")
    return "otlp" in exporters or any(environment.get(name) for name in endpoints)


def forget_empty(environment: MutableMapping[str, str]) -> None:
    """An empty variable counts as not set; not every exporter knows that."""
    for name in [name for name, value in environment.items() if not value]:
        if name.startswith("OTEL_"):
            del environment[name]


def problems(environment: Mapping[str, str]) -> list[str]:
    """What is wrong with the variables, one line each; an exporter would say it late, or never."""
    if not wanted(environment) and not wanted(environment, "metrics"):
        return []
    found = []
    for signal in ("", "TRACES_", "METRICS_"):
        name = f"OTEL_EXPORTER_OTLP_{signal}ENDPOINT"
        if (text := environment.get(name, "")) and not re.match(r"https?://.", text):
            found.append(f"{name} must be an http:// or https:// URL (got {text!r})")
        name = f"OTEL_EXPORTER_OTLP_{signal}PROTOCOL"
        if (text := environment.get(name, "")) not in ("", PROTOCOL):
            found.append(f"{name} must be {PROTOCOL}: no other is spoken (got {text!r})")
        name = f"OTEL_EXPORTER_OTLP_{signal}TIMEOUT"
        if (text := environment.get(name, "")) and not _is_positive(text):
            found.append(f"{name} must be a number of seconds above 0 (got {text!r})")
    name = "OTEL_METRIC_EXPORT_INTERVAL"
    if (text := environment.get(name, "")) and not _is_positive(text):
        found.append(f"{name} must be a number of milliseconds above 0 (got {text!r})")
    return found


def _is_positive(text: str) -> bool:
    try:
        return 0 < float(text) < float("inf")
    except ValueError:
        return False


class Telemetry:
    """Providers of its own, so that tests can run several gateways in one process.

    Without a processor or a reader there is no such signal.
    """

    def __init__(
        self, processor: "SpanProcessor | None" = None, reader: "MetricReader | None" = None
    ) -> None:
        # Imported here: a gateway without telemetry does not pay for loading it.
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
    def of(cls, environment: Mapping[str, str]) -> "Telemetry | None":
        """What the variables ask for; None where they ask for nothing."""
        traces, measures = wanted(environment), wanted(environment, "metrics")
        if not traces and not measures:
            return None
        return cls(_span_processor() if traces else None, _reader() if measures else None)

    def close(self) -> None:
        """Sends what is waiting, for some seconds at most: the exporters alone would wait longer
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


def error_attributes(error: ApiError) -> dict[str, str | int]:
    """An upstream's own codes are its own words: only what looks like a code goes on."""
    kind = error.code if _CODE.fullmatch(error.code) else error.type
    return {"error.type": kind, "http.response.status_code": error.status}


@dataclass
class Observation:
    """What becomes known of a request on its way: `observing` begins it, and counts it."""

    model: str = UNKNOWN
    error: ApiError | None = None
    replayed: bool = False


OBSERVATION: ContextVar[Observation] = ContextVar("gateway_observation")


class CallSpan:
    """What is told of a call: never a prompt, never an answer."""

    def __init__(self, span: trace.Span | None, observation: Observation) -> None:
        self._span = span
        self._observation = observation

    def record(self, outcome: CallOutcome) -> None:
        if self._span is None:
            return
        self._observation.error = outcome.error
        self._observation.replayed = outcome.replayed
        attributes: dict[str, Any] = {"atxp.replayed": outcome.replayed}
        if outcome.billed is not None:
            attributes["gen_ai.usage.input_tokens"] = outcome.billed.prompt_tokens
            attributes["gen_ai.usage.output_tokens"] = outcome.billed.completion_tokens
            attributes["cost_usd"] = usd(outcome.billed.amount)
            attributes["atxp.estimated"] = outcome.billed.estimated
        if outcome.error is not None:
            attributes |= error_attributes(outcome.error)
            self._span.set_status(trace.StatusCode.ERROR)
        self._span.set_attributes(attributes)


OFF = CallSpan(None, Observation())


@contextmanager
def traced(
    telemetry: Telemetry | None, headers: Mapping[str, str], model: str
) -> Iterator[CallSpan]:
    """The request's own span, which `observing` began, now that its model is known."""
    if telemetry is None:
        yield OFF
        return
    observation = OBSERVATION.get(Observation())
    observation.model = model
    span = trace.get_current_span()
    span.update_name(f"chat {model}")
    span.set_attribute("gen_ai.request.model", model)
    yield CallSpan(span, observation)
