"""A real OTLP/HTTP receiver: it decodes what processes send, and keeps every byte of it."""

import gzip
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support.serving import listening

Attributes = dict[str, Any]


@dataclass(frozen=True)
class Received:
    """One span, with the service name of its process."""

    span: Span
    service: str

    @property
    def attributes(self) -> Attributes:
        return plain(self.span.attributes)


@dataclass(frozen=True)
class Point:
    """The last value of one series of one process. A histogram's value is its sum."""

    name: str
    service: str
    attributes: Attributes
    value: float
    count: int
    kind: str
    unit: str


@dataclass
class Receiver:
    url: str = ""
    raw: bytearray = field(default_factory=bytearray)
    spans: list[Received] = field(default_factory=list)
    series: dict[Any, Point] = field(default_factory=dict)
    peaks: dict[Any, tuple[Point, float]] = field(default_factory=dict)
    """The highest value that each series ever had."""

    async def traces(self, request: web.Request) -> web.Response:
        message = ExportTraceServiceRequest.FromString(await self._body(request))
        for resource in message.resource_spans:
            service = str(plain(resource.resource.attributes).get("service.name"))
            for scope in resource.scope_spans:
                self.spans += [Received(span, service) for span in scope.spans]
        return _ok()

    async def metrics(self, request: web.Request) -> web.Response:
        message = ExportMetricsServiceRequest.FromString(await self._body(request))
        for resource in message.resource_metrics:
            process = plain(resource.resource.attributes)
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    self._keep(metric, process)
        return _ok()

    async def _body(self, request: web.Request) -> bytes:
        body = await request.read()
        if body[:2] == b"\x1f\x8b":
            body = gzip.decompress(body)
        self.raw += body
        return body

    def _keep(self, metric: Metric, process: Attributes) -> None:
        kind = str(metric.WhichOneof("data"))
        service = str(process.get("service.name"))
        for point in getattr(metric, kind).data_points:
            known = plain(point.attributes)
            if kind == "histogram":
                value, count = point.sum, point.count
            else:
                value, count = getattr(point, str(point.WhichOneof("value"))), 1
            key = (metric.name, process.get("service.instance.id"), *sorted(known.items()))
            last = Point(metric.name, service, known, value, count, kind, metric.unit)
            highest = max(value, self.peaks[key][1]) if key in self.peaks else value
            self.series[key], self.peaks[key] = last, (last, highest)

    def points(self, name: str, **wanted: Any) -> Iterator[Point]:
        """The series of a metric; attributes with `_` for `.` in their names."""
        for point in self.series.values():
            known = {key.replace(".", "_"): value for key, value in point.attributes.items()}
            if point.name == name and wanted.items() <= known.items():
                yield point

    def total(self, name: str, **wanted: Any) -> float:
        return sum(point.value for point in self.points(name, **wanted))


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    """On loopback, for `OTEL_EXPORTER_OTLP_ENDPOINT`."""
    found = Receiver()
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_post("/v1/traces", found.traces)
    app.router.add_post("/v1/metrics", found.metrics)
    async with listening(app) as found.url:
        yield found


def plain(attributes: Any) -> Attributes:
    return {each.key: _value(each) for each in attributes}


def _value(pair: KeyValue) -> Any:
    kind = pair.value.WhichOneof("value")
    if kind == "array_value":
        return tuple(
            getattr(each, str(each.WhichOneof("value"))) for each in pair.value.array_value.values
        )
    return getattr(pair.value, str(kind)) if kind else None


def _ok() -> web.Response:
    return web.Response(body=b"", content_type="application/x-protobuf")
