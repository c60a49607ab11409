"""A streamed chat completion over HTTP: the client reads along while the call is made."""

import asyncio
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass

from aiohttp import web

from durable_agent_team.gateway.api.middleware import (
    GATEWAY,
    REQUEST_ID,
    error_response,
    figures,
    respond,
    scrubbed,
)
from durable_agent_team.gateway.api_error import ApiError, unavailable
from durable_agent_team.gateway.calls.chat_request import ChatRequest
from durable_agent_team.gateway.calls.gateway_calls import CallOutcome
from durable_agent_team.gateway.calls.relay import REPLAYED_BYTES, Relay, unpack
from durable_agent_team.gateway.calls.sse import event
from durable_agent_team.gateway.stores.store import StoreError
from durable_agent_team.gateway.telemetry import CallSpan

log = logging.getLogger("gateway.http")

HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",
}


@dataclass(frozen=True, slots=True)
class Call:
    account_id: str
    key: str | None
    asked: ChatRequest


def answer_headers(outcome: CallOutcome) -> dict[str, str]:
    headers = figures(outcome.account)
    if outcome.replayed:
        headers["X-Idempotent-Replay"] = "true"
    return headers


def plain(request: web.Request, outcome: CallOutcome) -> web.Response:
    """An answer in one piece. An error that was billed holds what the upstream said."""
    body = outcome.body
    if outcome.status != 200:
        body = scrubbed(request.app[GATEWAY], request, body)
    return respond(body, outcome.status, answer_headers(outcome))


async def stream(request: web.Request, call: Call, span: CallSpan) -> web.StreamResponse:
    """Until the first chunk a refusal or a failure is a plain HTTP error; from then on it comes
    as the stream's last event. A client that leaves does not end the call."""
    calls = request.app[GATEWAY].calls
    relay = Relay(keep=call.key is not None)
    made = asyncio.ensure_future(calls.make(call.account_id, call.key, call.asked, relay))
    made.add_done_callback(lambda _: relay.close())
    begun = await _follow(request, relay)
    if begun is None:
        outcome = await made
        span.record(outcome)
        return await _whole(request, outcome)
    outcome = await _outcome(made, request)
    span.record(outcome)
    last = _last_event(request, outcome)
    await _write(request, begun, iter([last] if last else []))
    return begun


async def _follow(request: web.Request, relay: Relay) -> web.StreamResponse | None:
    """Passes on what comes, to its end. None: nothing came this way."""
    response = None
    async for piece in relay.read():
        try:
            if response is None:
                response = _response(request, {})
                await response.prepare(request)
            await _send(request, response, piece)
        except ConnectionError:
            relay.leave()
    return response


async def _send(request: web.Request, response: web.StreamResponse, piece: bytes) -> None:
    """Raises ConnectionError when the client has gone, or takes nothing any more."""
    patience = request.app[GATEWAY].settings.upstream_timeout_seconds
    for start in range(0, len(piece), REPLAYED_BYTES):
        try:
            async with asyncio.timeout(patience):
                await response.write(piece[start : start + REPLAYED_BYTES])
        except TimeoutError:
            log.info("client took nothing for %g s id=%s", patience, request[REQUEST_ID])
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionAbortedError from None


def _response(request: web.Request, headers: dict[str, str]) -> web.StreamResponse:
    own = {"X-Request-Id": request[REQUEST_ID]}
    return web.StreamResponse(headers={**HEADERS, **own, **headers})


async def _write(
    request: web.Request, response: web.StreamResponse, pieces: Iterator[bytes]
) -> None:
    """And the end of the response. The client may have gone."""
    try:
        for piece in pieces:
            await _send(request, response, piece)
        await response.write_eof()
    except ConnectionError:
        log.info("client left before the end of its stream id=%s", request[REQUEST_ID])


async def _whole(request: web.Request, outcome: CallOutcome) -> web.StreamResponse:
    """An answer that was there before this request, or none."""
    if outcome.error is not None:
        return error_response(request.app[GATEWAY], request, outcome.error, outcome.account)
    if outcome.status != 200:
        return plain(request, outcome)
    response = _response(request, answer_headers(outcome))
    await response.prepare(request)
    await _write(request, response, unpack(outcome.body))
    return response


async def _outcome(made: "asyncio.Future[CallOutcome]", request: web.Request) -> CallOutcome:
    """The status has gone out, so that every failure has to become an event."""
    try:
        return await made
    except StoreError as error:
        log.error("store id=%s: %s", request[REQUEST_ID], error)
        told = unavailable("The ledger cannot be written", "store_unavailable")
    except Exception:
        log.exception("unexpected id=%s in a stream", request[REQUEST_ID])
        message = f"Unexpected; log id {request[REQUEST_ID]}"
        told = ApiError(500, "internal_error", "internal", message)
    return CallOutcome(None, error=told)


def _last_event(request: web.Request, outcome: CallOutcome) -> bytes:
    """The error with the status that it would have had; nothing after a whole answer."""
    if outcome.error is not None:
        body, status = outcome.error.body(), outcome.error.status
    elif outcome.status != 200:
        body, status = outcome.body, outcome.status
    else:
        return b""
    data = json.loads(scrubbed(request.app[GATEWAY], request, body))
    data["error"]["status"] = status
    return event(json.dumps(data).encode())
