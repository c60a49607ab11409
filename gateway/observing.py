"""Around every request: the caller's trace and labels, the server's span, the call's metrics."""

import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from aiohttp import web
from opentelemetry import context, trace

from gateway.http import ERROR, GATEWAY
from gateway.labels import CALL_KEY, LABELS, extracted
from gateway.telemetry import OBSERVATION, Observation, Telemetry, error_attributes

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
CHAT = "/v1/chat/completions"
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
    headers = request.headers
    if telemetry is None and "traceparent" not in headers and "baggage" not in headers:
        return await handler(request)
    with _labelled(request):
        if telemetry is None or request.path != CHAT:
            return await handler(request)
        return await _measured(telemetry, request, handler)


@contextmanager
def _labelled(request: web.Request) -> Iterator[None]:
    """For this request only: one connection's requests share their task."""
    found, known = extracted(request.headers)
    if request.path != CHAT:
        known.pop(CALL_KEY, None)  # there it is another kind of key
    token, labelled = context.attach(found), LABELS.set(known)
    try:
        yield
    finally:
        LABELS.reset(labelled)
        context.detach(token)


async def _measured(
    telemetry: Telemetry, request: web.Request, handler: Handler
) -> web.StreamResponse:
    began = time.perf_counter()
    seen = Observation()
    token = OBSERVATION.set(seen)
    attributes = {"gen_ai.operation.name": "chat", **LABELS.get({})}
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
