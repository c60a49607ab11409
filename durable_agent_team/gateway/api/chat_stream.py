"""Makes a paid call and answers it: in one piece, or as a stream while the call is made."""

import asyncio
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass

from aiohttp import web

from durable_agent_team.gateway.api.call_span import CallSpan
from durable_agent_team.gateway.api.door import DoorAnswer
from durable_agent_team.gateway.api.gateway_context import GATEWAY
from durable_agent_team.gateway.api.http_bodies import (
    CLAIM,
    REQUEST_ID,
    account_headers,
    error_response,
    respond,
    scrubbed,
)
from durable_agent_team.gateway.api.middleware import store_unavailable
from durable_agent_team.gateway.api.scoped_calls import OUTCOME, client_is_there
from durable_agent_team.gateway.api_error import unexpected
from durable_agent_team.gateway.calls.call_service import CallOutcome
from durable_agent_team.gateway.calls.chat_request import ChatRequest
from durable_agent_team.gateway.calls.claims import Claim
from durable_agent_team.gateway.calls.relay import CHUNK_BYTES, Relay, decompress
from durable_agent_team.gateway.calls.sse import event
from durable_agent_team.gateway.stores.store import StoreError

log = logging.getLogger("gateway.http")

HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",
}


@dataclass(frozen=True, slots=True)
class PaidCall:
    account_id: str
    key: str | None
    request: ChatRequest
    answer: DoorAnswer | None = None
    """Translates the answer of a call that came in by another door."""


def answer_headers(outcome: CallOutcome) -> dict[str, str]:
    headers = account_headers(outcome.account)
    if outcome.replayed:
        headers["X-Idempotent-Replay"] = "true"
    return headers


def whole_answer(
    request: web.Request, outcome: CallOutcome, answer: DoorAnswer | None = None
) -> web.Response:
    """A response in one piece. An error that was billed contains the upstream's text."""
    body = outcome.body
    if outcome.status != 200:
        body = scrubbed(request.app[GATEWAY], request, body)
    if answer is not None:
        body = answer.whole(outcome.status, body)
    return respond(body, outcome.status, answer_headers(outcome))


async def make_call(request: web.Request, call: PaidCall, span: CallSpan) -> web.StreamResponse:
    """One paid call by any door, streamed or not."""
    if call.request.stream:
        return await stream(request, call, span)
    gateway = request.app[GATEWAY]
    claim = request.get(CLAIM)
    outcome = await gateway.calls.make(call.account_id, call.key, call.request, claim=claim)
    record(request, span, outcome)
    if outcome.error is not None:
        return error_response(gateway, request, outcome.error, outcome.account)
    return whole_answer(request, outcome, call.answer)


def record(request: web.Request, span: CallSpan, outcome: CallOutcome) -> None:
    """How the call ended, for its span and for its scope."""
    span.record(outcome)
    request[OUTCOME] = outcome


async def stream(request: web.Request, call: PaidCall, span: CallSpan) -> web.StreamResponse:
    """Until the first chunk, an error is a plain HTTP error; after it, the stream's last event.
    If the client leaves, the call continues."""
    calls = request.app[GATEWAY].calls
    claim = request.get(CLAIM)
    relay = Relay(keep=call.key is not None or claim is not None)
    task = asyncio.ensure_future(calls.make(call.account_id, call.key, call.request, relay, claim))
    task.add_done_callback(lambda _: relay.close())
    response = await _pass_on(request, relay, call.answer)
    if response is None:
        outcome = await task
        record(request, span, outcome)
        return await _without_chunks(request, outcome, call.answer)
    outcome = await _outcome(task, request)
    record(request, span, outcome)
    last = _last_event(request, outcome, call.answer)
    await _write(request, response, iter([last] if last else []))
    return response


async def _pass_on(
    request: web.Request, relay: Relay, answer: DoorAnswer | None
) -> web.StreamResponse | None:
    """Sends the chunks as they arrive. None if there were none."""
    response = None
    claim = request.get(CLAIM)
    async for chunks in relay.read():
        piece = chunks if answer is None else answer.feed(chunks)
        is_there = claim is None or client_is_there(request)
        try:
            if response is None:
                response = _response(request, {})
                await response.prepare(request)
            await _send(request, response, piece)
        except ConnectionError:
            relay.client_left()
            is_there = False
        if claim is not None and relay.is_read:
            claim.handed_over = is_there and not claim.has_left
    return response


async def _send(request: web.Request, response: web.StreamResponse, piece: bytes) -> None:
    """Raises ConnectionError if the client has disconnected or does not read any more."""
    patience = request.app[GATEWAY].settings.upstream_timeout_seconds
    for start in range(0, len(piece), CHUNK_BYTES):
        try:
            async with asyncio.timeout(patience):
                await response.write(piece[start : start + CHUNK_BYTES])
        except TimeoutError:
            log.info("client read nothing for %g s id=%s", patience, request[REQUEST_ID])
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


async def _without_chunks(
    request: web.Request, outcome: CallOutcome, answer: DoorAnswer | None
) -> web.StreamResponse:
    """A call that passed on no chunks: an error, or the replay of a stored answer."""
    if outcome.error is not None:
        return error_response(request.app[GATEWAY], request, outcome.error, outcome.account)
    if outcome.status != 200:
        return whole_answer(request, outcome, answer)
    response = _response(request, answer_headers(outcome))
    await response.prepare(request)
    stored = decompress(outcome.body)
    pieces = stored if answer is None else map(answer.feed, stored)
    if (claim := request.get(CLAIM)) is not None:
        pieces = _handed_over(request, claim, pieces)
    await _write(request, response, pieces)
    return response


def _handed_over(request: web.Request, claim: Claim, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same pieces. The claim knows when the last one was sent to a client that is there."""
    is_there = True
    for piece in pieces:
        is_there = client_is_there(request)
        yield piece
    claim.handed_over = is_there and not claim.has_left


async def _outcome(task: "asyncio.Future[CallOutcome]", request: web.Request) -> CallOutcome:
    """The status was already sent, so every exception must become an event."""
    try:
        return await task
    except StoreError as error:
        log.error("store id=%s: %s", request[REQUEST_ID], error)
        problem = store_unavailable()
    except Exception:
        log.exception("unexpected id=%s in a stream", request[REQUEST_ID])
        problem = unexpected(request[REQUEST_ID])
    return CallOutcome(None, error=problem)


def _last_event(request: web.Request, outcome: CallOutcome, answer: DoorAnswer | None) -> bytes:
    """The error with the status that it would have had; empty after a complete answer."""
    if outcome.error is not None:
        body, status = outcome.error.body(), outcome.error.status
    elif outcome.status != 200:
        body, status = outcome.body, outcome.status
    else:
        return b""
    data = json.loads(scrubbed(request.app[GATEWAY], request, body))
    data["error"]["status"] = status
    if answer is not None:
        return answer.error(data["error"])
    return event(json.dumps(data).encode())
