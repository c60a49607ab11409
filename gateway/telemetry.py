"""OpenTelemetry: one span for each chat call, in the caller's trace. Off unless OTEL_* asks."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from opentelemetry import propagate, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from gateway.calls import Outcome
from gateway.money import usd


def wanted(environment: Mapping[str, str]) -> bool:
    """As the standard variables say: an endpoint or an exporter is named, and it is not off."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporters = environment.get("OTEL_TRACES_EXPORTER", "").lower().split(",")
    if "none" in exporters:
        return False
    endpoints = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    return "otlp" in exporters or any(environment.get(name) for name in endpoints)


class Telemetry:
    """A tracer of its own, so that tests can run several gateways in one process."""

    def __init__(self, processor: SpanProcessor | None = None) -> None:
        resource = Resource.create({"service.name": "atxp-gateway"})
        self.provider = TracerProvider(resource=resource)
        self.provider.add_span_processor(processor or BatchSpanProcessor(OTLPSpanExporter()))
        self.tracer = self.provider.get_tracer("gateway")

    def close(self) -> None:
        self.provider.shutdown()


class CallSpan:
    """What is told of a call: never a prompt, never an answer."""

    def __init__(self, span: trace.Span | None) -> None:
        self._span = span

    def record(self, outcome: Outcome) -> None:
        if self._span is None:
            return
        attributes: dict[str, Any] = {"atxp.replayed": outcome.replayed}
        if outcome.billed is not None:
            attributes["gen_ai.usage.input_tokens"] = outcome.billed.prompt_tokens
            attributes["gen_ai.usage.output_tokens"] = outcome.billed.completion_tokens
            attributes["cost_usd"] = usd(outcome.billed.amount)
            attributes["atxp.estimated"] = outcome.billed.estimated
        if outcome.error is not None:
            attributes["error.type"] = outcome.error.code
            attributes["http.response.status_code"] = outcome.error.status
            self._span.set_status(trace.StatusCode.ERROR, outcome.error.code)
        self._span.set_attributes(attributes)


OFF = CallSpan(None)


@contextmanager
def traced(
    telemetry: Telemetry | None, headers: Mapping[str, str], model: str
) -> Iterator[CallSpan]:
    if telemetry is None:
        yield OFF
        return
    attributes = {"gen_ai.operation.name": "chat", "gen_ai.request.model": model}
    with telemetry.tracer.start_as_current_span(
        f"chat {model}",
        context=propagate.extract({name.lower(): value for name, value in headers.items()}),
        kind=trace.SpanKind.SERVER,
        attributes=attributes,
    ) as span:
        yield CallSpan(span)
