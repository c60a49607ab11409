"""Around every request: the caller's trace and labels, the server's span, the call's metrics."""

import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from aiohttp import web
from opentelemetry import context, trace

from durable_agent_team.gateway.api.middleware import ERROR, GATEWAY, clean
from durable_agent_team.gateway.request_labels import CALL_KEY, LABELS, add, extracted, labels
from durable_agent_team.gateway.telemetry import (
    OBSERVATION,
    Observation,
    Telemetry,
    error_attributes,
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
CHAT = "/v1/chat/completions"
TRACED = "/v1/"
OUTCOMES = {
    "upstream_error": "upstream_error",
    "unavailable": "unavailable",
    "internal_error": "internal",
}
"""By the type of the error. All others are refusals: nothing was called."""
REFUSED = "refused"


@web.middleware
async def observing(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Outermost, so that the request's own log line has the labels too."""
    telemetry = request.app[GATEWAY].telemetry
    with _labelled(request):
        if telemetry is None:
            return await handler(request)
        if request.path == CHAT:
            return await _measured(telemetry, request, handler)
        route = request.match_info.route.resource
        if route is None or not route.canonical.startswith(TRACED):
            return await handler(request)
        return await _traced(telemetry, route.canonical, request, handler)


@contextmanager
def _labelled(request: web.Request) -> Iterator[None]:
    """For this request only: one connection's requests share their task."""
    headers = request.headers
    known: dict[str, str] = {}
    token = None
    if "traceparent" in headers or "baggage" in headers:
        found, known = extracted(headers)
        token = context.attach(found)
    if request.path == CHAT and "Idempotency-Key" in headers:
        known[CALL_KEY] = headers["Idempotency-Key"]
    gateway = request.app[GATEWAY]
    labelled = LABELS.set({})
    for name, value in known.items():
        add(name, clean(gateway, request, value))
    try:
        yield
    finally:
        LABELS.reset(labelled)
        if token is not None:
            context.detach(token)


async def _traced(
    telemetry: Telemetry, route: str, request: web.Request, handler: Handler
) -> web.StreamResponse:
    """A span by HTTP's conventions: named by the route, since of paths there is no end."""
    attributes = {"http.request.method": request.method, "http.route": route, **labels()}
    with telemetry.tracer.start_as_current_span(
        f"{request.method} {route}",
        kind=trace.SpanKind.SERVER,
        attributes=attributes,
        record_exception=False,
    ) as span:
        response = await handler(request)
        span.set_attribute("http.response.status_code", response.status)
        if (error := response.get(ERROR)) is not None:
            span.set_attributes(error_attributes(error))
            span.set_status(trace.StatusCode.ERROR)
    return response


async def _measured(
    telemetry: Telemetry, request: web.Request, handler: Handler
) -> web.StreamResponse:
    began = time.perf_counter()
    seen = Observation()
    token = OBSERVATION.set(seen)
    attributes = {"gen_ai.operation.name": "chat", **labels()}
    try:
        with telemetry.tracer.start_as_current_span(
            "chat", kind=trace.SpanKind.SERVER, attributes=attributes, record_exception=False
        ) as span:
            response = await handler(request)
            early = response.get(ERROR)
            if early is not None and seen.error is None:
                seen.error = early
                span.set_attributes(error_attributes(early))
                span.set_status(trace.StatusCode.ERROR)
        outcome, reason = outcome_of(seen)
        seconds = time.perf_counter() - began
        telemetry.instruments.record_call(seen.model, outcome, reason, seconds)
        return response
    finally:
        OBSERVATION.reset(token)


def outcome_of(seen: Observation) -> tuple[str, str]:
    """How the call ended; and why, where it was refused."""
    if seen.error is None:
        return ("replayed" if seen.replayed else "ok"), ""
    outcome = OUTCOMES.get(seen.error.type, REFUSED)
    return outcome, seen.error.code if outcome == REFUSED else ""
