"""Paid calls in a scope: the gateway makes their idempotency keys (docs/gateway.md, "Scopes").

`in_scope` wraps the handler of a door. A request has a scope by its path or by two headers; one
without is handled as ever.
"""

import json
import re
import select
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

from aiohttp import web

from durable_agent_team.gateway.api.gateway_context import GATEWAY, GatewayContext
from durable_agent_team.gateway.api.http_bodies import (
    CLAIM,
    ERROR,
    REQUEST_ID,
    error_response,
    header_value,
    refuse_keys,
    without_keys_in,
)
from durable_agent_team.gateway.api.http_connection import HttpConnection
from durable_agent_team.gateway.api.middleware import Handler, http_error
from durable_agent_team.gateway.api.request_outcomes import OUTCOMES
from durable_agent_team.gateway.api_error import ApiError, invalid, shown, unavailable
from durable_agent_team.gateway.calls.call_service import CallOutcome
from durable_agent_team.gateway.calls.claims import Claim, new_place
from durable_agent_team.gateway.stores.scope_records import RequestEnd

SCOPE_HEADER: Final = "Agent-Scope"
ATTEMPT_HEADER: Final = "Agent-Attempt"
RETRY_HEADER: Final = "X-Stainless-Retry-Count"
"""Which of its tries a request is, from 0. The SDKs of OpenAI and Anthropic send it."""
SCOPE: Final = re.compile(r"[A-Za-z0-9._~-]{1,100}")
MAX_ATTEMPT: Final = 10**9

OUTCOME = web.RequestKey("gateway.outcome", CallOutcome)
"""How the call of a request in a scope ended."""


def in_scope(handler: Handler) -> Handler:
    """The handler, which gets `request[CLAIM]` if the request has a scope."""

    async def handle(request: web.Request) -> web.StreamResponse:
        asked = _asked(request)
        if asked is None:
            return await handler(request)
        scope, attempt = checked_scope(request, asked[0]), checked_attempt(asked[1])
        account_id = await request.app[GATEWAY].require_agent(request)
        place = new_place(scope, attempt, is_retry=_is_retry(request))
        claim = request[CLAIM] = Claim(account_id, place)
        return await _answer(request, handler, claim)

    return handle


def _asked(request: web.Request) -> tuple[str, str] | None:
    """The scope and the attempt as they were sent. Those of the path go before the headers."""
    if "scope" in request.match_info:
        return request.match_info["scope"], request.match_info["attempt"]
    scope, attempt = header_value(request, SCOPE_HEADER), header_value(request, ATTEMPT_HEADER)
    if scope is None and attempt is None:
        return None
    if scope is None or attempt is None:
        missing = SCOPE_HEADER if scope is None else ATTEMPT_HEADER
        raise invalid(f"A call in a scope has both headers; {missing} is missing")
    return scope, attempt


def checked_scope(request: web.Request, scope: str) -> str:
    """Raises ApiError if it cannot be a scope's name."""
    if not SCOPE.fullmatch(scope):
        raise invalid(
            "A scope has 1 to 100 letters, digits and the characters . _ ~ - ;"
            f" got {shown(scope)}. The address is /scopes/SCOPE/ATTEMPT/v1"
        )
    refuse_keys(request, scope, "The scope")
    return scope


def checked_attempt(text: str) -> int:
    digits = text.isascii() and text.isdigit() and len(text) <= len(str(MAX_ATTEMPT))
    if not digits or not 1 <= int(text) <= MAX_ATTEMPT:
        raise invalid(
            f"An attempt is a whole number from 1 to {MAX_ATTEMPT}; got {shown(text)}. The address"
            " is /scopes/SCOPE/ATTEMPT/v1"
        )
    return int(text)


def _is_retry(request: web.Request) -> bool:
    """An SDK's count that is not a number says nothing."""
    count = request.headers.get(RETRY_HEADER, "").strip()
    return count.isascii() and count.isdigit() and count.strip("0") != ""


async def _answer(request: web.Request, handler: Handler, claim: Claim) -> web.StreamResponse:
    gateway = request.app[GATEWAY]
    claims = gateway.calls.claims
    claims.open(claim)
    how, as_answered = RequestEnd.FAILED, None
    try:
        with _watched(request, gateway, claim):
            try:
                response = await handler(request)
            except ApiError as refused:
                response = error_response(gateway, request, refused)
            except web.HTTPException as refused:
                error = http_error(gateway, request, refused)
                response = error_response(gateway, request, error)
            if not response.prepared:
                await _send(request, response, claim)
        how, as_answered = _how_it_ended(request, response, claim)
    finally:
        await claims.end(claim, how, as_answered)
    return response


@contextmanager
def _watched(request: web.Request, gateway: GatewayContext, claim: Claim) -> Iterator[None]:
    """Meanwhile, the request's number is given back at once if its client leaves."""

    def left() -> None:
        gateway.calls.claims.client_left(claim)

    connection = request.protocol
    assert isinstance(connection, HttpConnection)
    if request.transport is None:
        left()
    connection.when_lost.add(left)
    try:
        yield
    finally:
        connection.when_lost.discard(left)
        if claim.handed_over:
            connection.when_reset = lambda: gateway.calls.claims.not_read(claim)


async def _send(request: web.Request, response: web.StreamResponse, claim: Claim) -> None:
    """Sends a response in one piece. aiohttp would do it later, when nobody learns of it."""
    is_there = client_is_there(request)
    response.headers["X-Request-Id"] = request[REQUEST_ID]
    try:
        await response.prepare(request)
        await response.write_eof()
    except ConnectionError:
        return
    claim.handed_over = is_there and response.status == 200


def client_is_there(request: web.Request) -> bool:
    """Whether the client has not closed its connection, also just now."""
    transport = request.transport
    if transport is None or transport.is_closing():
        return False
    connection = transport.get_extra_info("socket")
    if connection is None or not hasattr(select, "POLLRDHUP"):
        return True
    waiting = select.poll()
    waiting.register(connection.fileno(), select.POLLRDHUP)
    return not waiting.poll(0)


def require_client(request: web.Request) -> None:
    """Before a change that would undo a later one: this process may have stood still, and the
    client have left, and sent it to another gateway. Raises ApiError."""
    if not client_is_there(request):
        raise unavailable("The client has left: nothing was changed", "client_left")


def _how_it_ended(
    request: web.Request, response: web.StreamResponse, claim: Claim
) -> tuple[RequestEnd, str | None]:
    """And the error, as it was answered."""
    outcome = request.get(OUTCOME)
    error = response.get(ERROR) or (outcome.error if outcome is not None else None)
    if error is None:
        if outcome is None:
            return RequestEnd.CHARGED, None
        how = RequestEnd.REPLAYED if outcome.replayed else RequestEnd.CHARGED
        if outcome.status == 200:
            return how, None
        status, fields = outcome.status, json.loads(outcome.body)["error"]
    else:
        how = RequestEnd.FAILED if error.type in OUTCOMES else RequestEnd.REFUSED
        status, fields = error.status, error.fields()
    fields = without_keys_in(request.app[GATEWAY], request, fields)
    now = datetime.now(UTC).isoformat()
    answered = {"status": status, "error": fields, "at": now, "attempt": claim.place.attempt}
    return how, json.dumps(answered)
