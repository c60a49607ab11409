"""Wraps every request: the caller's trace and labels, the server's span, the call's metrics."""

import time
from collections.abc import Awaitable

from aiohttp import web
from opentelemetry import context, trace

from durable_agent_team.gateway.api.call_span import OBSERVATION, Observation, error_attributes
from durable_agent_team.gateway.api.door_path import door_path
from durable_agent_team.gateway.api.gateway_context import GATEWAY
from durable_agent_team.gateway.api.http_bodies import ERROR, without_keys
from durable_agent_team.gateway.api.middleware import Handler
from durable_agent_team.gateway.api.request_outcomes import OUTCOMES
from durable_agent_team.gateway.otel_providers import GatewayTelemetry
from durable_agent_team.gateway.request_labels import (
    CALL_KEY,
    LABELS,
    add_label,
    extract_labels,
    labels,
)

CALLS = {
    "/v1/chat/completions": "chat",
    "/v1/responses": "chat",
    "/v1/messages": "chat",
    "/v1/embeddings": "embeddings",
}
"""The paths of paid calls, with the span's name and `gen_ai.operation.name`."""
TRACED = "/v1/"
REFUSED = "refused"


@web.middleware
async def observe_requests(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The outermost middleware, so that the request's log line has the labels, too."""
    gateway = request.app[GATEWAY]
    trace_context, known = _sent_labels(request)
    # For this request only: all requests of a connection share a task.
    token = None if trace_context is None else context.attach(trace_context)
    labels_token = LABELS.set({})
    try:
        for name, value in known.items():
            add_label(name, without_keys(gateway, request, value))
        return await _observed(gateway.telemetry, request, handler)
    finally:
        LABELS.reset(labels_token)
        if token is not None:
            context.detach(token)


def _sent_labels(request: web.Request) -> tuple[context.Context | None, dict[str, str]]:
    """The caller's trace context, if it sent one, and its labels."""
    headers = request.headers
    trace_context: context.Context | None = None
    known: dict[str, str] = {}
    if "traceparent" in headers or "baggage" in headers:
        trace_context, known = extract_labels(headers)
    if request.path in CALLS and "Idempotency-Key" in headers:
        known[CALL_KEY] = headers["Idempotency-Key"]
    return trace_context, known


def _observed(
    telemetry: GatewayTelemetry | None, request: web.Request, handler: Handler
) -> Awaitable[web.StreamResponse]:
    if telemetry is None:
        return handler(request)
    if door_path(request.path) in CALLS:
        return _measured(telemetry, request, handler)
    route = request.match_info.route.resource
    if route is None or not route.canonical.startswith(TRACED):
        return handler(request)
    return _traced(telemetry, route.canonical, request, handler)


async def _traced(
    telemetry: GatewayTelemetry, route: str, request: web.Request, handler: Handler
) -> web.StreamResponse:
    """A span by the HTTP conventions, named after the route: the number of paths is unlimited."""
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
    telemetry: GatewayTelemetry, request: web.Request, handler: Handler
) -> web.StreamResponse:
    started = time.perf_counter()
    observation = Observation()
    token = OBSERVATION.set(observation)
    operation = CALLS[door_path(request.path)]
    attributes = {"gen_ai.operation.name": operation, **labels()}
    try:
        with telemetry.tracer.start_as_current_span(
            operation, kind=trace.SpanKind.SERVER, attributes=attributes, record_exception=False
        ) as span:
            response = await handler(request)
            error = response.get(ERROR)
            if error is not None and observation.error is None:
                observation.error = error
                span.set_attributes(error_attributes(error))
                span.set_status(trace.StatusCode.ERROR)
        outcome, reason = outcome_of(observation)
        seconds = time.perf_counter() - started
        telemetry.instruments.record_call(observation.model, outcome, reason, seconds)
        return response
    finally:
        OBSERVATION.reset(token)


def outcome_of(observation: Observation) -> tuple[str, str]:
    """How the call ended, and the reason if it was refused."""
    if observation.error is None:
        return ("replayed" if observation.replayed else "ok"), ""
    outcome = OUTCOMES.get(observation.error.type, REFUSED)
    return outcome, observation.error.code if outcome == REFUSED else ""
