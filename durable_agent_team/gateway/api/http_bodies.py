"""Reads request bodies and headers, and writes responses, without keys in any error text."""

import json
from decimal import Decimal
from typing import Any

from aiohttp import web

from durable_agent_team.gateway.amounts import usd_text
from durable_agent_team.gateway.api.gateway_context import GatewayContext
from durable_agent_team.gateway.api_error import ApiError, invalid
from durable_agent_team.gateway.json_bodies import parse_object
from durable_agent_team.gateway.stores.store import Account

ERROR = web.ResponseKey("gateway.error", ApiError)
"""The ApiError that a response was made from."""
MAX_IDEMPOTENCY_KEY = 200


def idempotency_key(request: web.Request) -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is not None and not 0 < len(key) <= MAX_IDEMPOTENCY_KEY:
        raise invalid(f"Idempotency-Key must have 1 to {MAX_IDEMPOTENCY_KEY} characters")
    return key


async def json_object(request: web.Request) -> dict[str, Any]:
    """The body of a request about accounts. Decimals are kept exact."""
    try:
        return parse_object(await request.read(), parse_float=Decimal)
    except ValueError as error:
        raise invalid(str(error), "not_json") from None


def respond(body: bytes, status: int, headers: dict[str, str]) -> web.Response:
    return web.Response(body=body, status=status, headers=headers, content_type="application/json")


def respond_json(
    data: Any, status: int = 200, headers: dict[str, str] | None = None
) -> web.Response:
    return respond(json.dumps(data).encode(), status, headers or {})


def error_response(
    gateway: GatewayContext, request: web.Request, error: ApiError, account: Account | None = None
) -> web.Response:
    """The error with all keys removed: its text may come from an upstream or from the client."""
    headers = {**error.headers, **account_headers(account)}
    response = respond(scrubbed(gateway, request, error.body()), error.status, headers)
    response[ERROR] = error
    return response


def account_headers(account: Account | None) -> dict[str, str]:
    """The account after this response, so that the client does not need to query it."""
    if account is None:
        return {}
    return {
        "X-Account-Spent-Usd": usd_text(account.spent),
        "X-Account-Reserved-Usd": usd_text(account.reserved),
    }


def without_keys(gateway: GatewayContext, request: web.Request, text: str) -> str:
    """The text with the gateway's keys and the request's own key removed."""
    sent = request.headers.get("Authorization", "").partition(" ")[2].strip()
    return gateway.scrub(text, sent if len(sent) >= 8 else "")


def scrubbed(gateway: GatewayContext, request: web.Request, body: bytes) -> bytes:
    return without_keys(gateway, request, body.decode()).encode()
