"""Reads request bodies and headers, and writes responses, without keys in any error text."""

import asyncio
import json
from dataclasses import replace
from typing import Any

from aiohttp import http_exceptions, web
from pydantic import BaseModel

from durable_agent_team.gateway.amounts import usd_text
from durable_agent_team.gateway.api.door_path import door_path
from durable_agent_team.gateway.api.gateway_context import (
    API_KEY,
    GATEWAY,
    MESSAGES,
    GatewayContext,
)
from durable_agent_team.gateway.api.request_outcomes import NO_RETRY, is_final
from durable_agent_team.gateway.api_error import ApiError, invalid, shown
from durable_agent_team.gateway.calls.claims import Claim
from durable_agent_team.gateway.doors.messages_answer import error_from_chat
from durable_agent_team.gateway.json_bodies import dump
from durable_agent_team.gateway.stores.account_records import Account
from durable_agent_team.gateway.strict_json import parse_request

ERROR = web.ResponseKey("gateway.error", ApiError)
"""The ApiError that a response was made from."""
REQUEST_ID = web.RequestKey("gateway.request_id", str)
"""The request's id. A streamed response must set its own header, since that is sent first."""
CLAIM = web.RequestKey("gateway.claim", Claim)
"""The claim of a paid request in a scope."""
MAX_IDEMPOTENCY_KEY = 200
CLOSE = {"Connection": "close"}


def idempotency_key(request: web.Request) -> str | None:
    """None for a request in a scope, where the gateway makes the key."""
    if CLAIM in request:
        return None
    key = header_value(request, "Idempotency-Key")
    return None if key is None else check_idempotency_key(request, key, "Idempotency-Key")


def check_idempotency_key(request: web.Request, key: object, where: str) -> str:
    """Returns the key. Raises ApiError, which names the header or field that it came in."""
    fits = isinstance(key, str) and 0 < len(key) <= MAX_IDEMPOTENCY_KEY
    if not isinstance(key, str) or not fits or not (key.isascii() and key.isprintable()):
        raise invalid(
            f"{where} must have 1 to {MAX_IDEMPOTENCY_KEY} printable ASCII characters;"
            f" got {shown(key)}"
        )
    refuse_keys(request, key, where)
    return key


def header_value(request: web.Request, name: str) -> str | None:
    """Reads a header that decides what is paid, and so cannot have two values, such as a client's
    and a proxy's."""
    values = set(request.headers.getall(name, []))
    if len(values) > 1:
        raise invalid(f"{name} is sent with {len(values)} values; send it once")
    return next(iter(values), None)


def query_value(request: web.Request, field: str) -> str | None:
    """The field of the query string, which can be given once."""
    values = request.query.getall(field, [])
    if len(values) > 1:
        raise invalid(f"`{field}` is given {len(values)} times in the query; give it once")
    return values[0] if values else None


async def read_body(request: web.Request) -> bytes:
    """The body, bounded in size and time. A compressed body is refused unread: a small one can
    become gigabytes."""
    coding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if coding != "identity":
        message = f"`Content-Encoding` must be identity, without compression; got {shown(coding)}"
        headers = {"Accept-Encoding": "identity"}
        raise ApiError(415, "invalid_request_error", "compressed_body", message, {}, headers)
    seconds = request.app[GATEWAY].settings.gateway_request_seconds
    try:
        if request.content.is_eof():  # it has arrived: nothing is waited for
            return await request.read()
        async with asyncio.timeout(seconds):
            return await request.read()
    except TimeoutError:
        message = f"The body did not arrive within GATEWAY_REQUEST_SECONDS ({seconds:g} s)"
        raise ApiError(
            408, "invalid_request_error", "request_timeout", message, {}, CLOSE
        ) from None
    except (web.RequestPayloadError, http_exceptions.HttpProcessingError):
        message = "The body is not valid HTTP: its chunks or its length are malformed"
        raise ApiError(400, "invalid_request_error", "malformed_http", message, {}, CLOSE) from None
    except ConnectionError:  # no one reads this response
        message = "The client left before its body was complete"
        raise ApiError(400, "invalid_request_error", "client_left", message, {}, CLOSE) from None


async def json_object(request: web.Request) -> dict[str, Any]:
    """The body of a request about accounts. Decimals are kept exact."""
    try:
        return parse_request(await read_body(request), exact=True)
    except ValueError as error:
        raise invalid(str(error), "not_json") from None


def respond(body: bytes, status: int, headers: dict[str, str]) -> web.Response:
    return web.Response(body=body, status=status, headers=headers, content_type="application/json")


def respond_json(
    data: Any, status: int = 200, headers: dict[str, str] | None = None
) -> web.Response:
    return respond(json.dumps(data).encode(), status, headers or {})


def respond_shape(shape: BaseModel, status: int = 200) -> web.Response:
    return respond_json(shape.model_dump(by_alias=True), status)


def respond_account(shape: BaseModel, account: Account | None, status: int = 200) -> web.Response:
    """With the account after the request in its headers."""
    return respond_json(shape.model_dump(by_alias=True), status, account_headers(account))


def error_response(
    gateway: GatewayContext, request: web.Request, error: ApiError, account: Account | None = None
) -> web.Response:
    """The error with all keys removed: its text may come from an upstream or from the client."""
    headers = {**error.headers, **account_headers(account)}
    if is_final(error):
        headers |= NO_RETRY
    clean = replace(
        error,
        message=without_keys(gateway, request, error.message),
        extra=without_keys_in(gateway, request, dict(error.extra)),
    )
    body = clean.body()
    if door_path(request.path).startswith(MESSAGES):
        body = dump(error_from_chat(json.loads(body), error.status, request.get(REQUEST_ID)))
    response = respond(body, error.status, headers)
    response[ERROR] = error
    if "Connection" in error.headers:
        response.force_close()
    return response


def account_headers(account: Account | None) -> dict[str, str]:
    """The account after this response, so that the client does not need to query it."""
    if account is None:
        return {}
    headers = {
        "X-Account-Spent-Usd": usd_text(account.spent),
        "X-Account-Reserved-Usd": usd_text(account.reserved),
    }
    if account.possibly_billed_calls:
        headers["X-Account-Possibly-Billed-Calls"] = str(account.possibly_billed_calls)
        headers["X-Account-Possibly-Billed-Usd"] = usd_text(account.possibly_billed)
    return headers


def without_keys(gateway: GatewayContext, request: web.Request, text: str) -> str:
    """The text with the gateway's keys, agents' keys and the request's own key removed."""
    for key in _presented(request):
        text = gateway.scrub(text, key)
    return text


def refuse_keys(request: web.Request, text: str, where: str) -> None:
    """For a text that will be stored. Raises ApiError where it contains a key."""
    if without_keys(request.app[GATEWAY], request, text) != text:
        raise invalid(f"{where} contains a secret key, which would be stored; use another")


def scrubbed(gateway: GatewayContext, request: web.Request, body: bytes) -> bytes:
    """A JSON body with keys removed from its texts."""
    return json.dumps(without_keys_in(gateway, request, json.loads(body))).encode()


def without_keys_in(gateway: GatewayContext, request: web.Request, data: Any) -> Any:
    """JSON data with keys removed from its texts."""
    for key in _presented(request):
        data = gateway.scrub.values(data, key)
    return data


def _presented(request: web.Request) -> tuple[str, ...]:
    """The last word of the header, so that a key without `Bearer` is found, too; and the header of
    Anthropic's clients, if it is there."""
    key = (request.headers.get("Authorization", "").split() or [""])[-1]
    if API_KEY in request.headers:
        return key, request.headers[API_KEY].strip()
    return (key,)
