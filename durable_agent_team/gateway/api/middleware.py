"""What every request goes through: who asks, how errors look, what is logged."""

import hmac
import json
import logging
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from aiohttp import web

from durable_agent_team.gateway import request_labels
from durable_agent_team.gateway.amounts import usd_text
from durable_agent_team.gateway.api_error import (
    ApiError,
    forbidden,
    invalid,
    unauthorized,
    unavailable,
)
from durable_agent_team.gateway.calls.gateway_calls import CallService
from durable_agent_team.gateway.calls.prices import Prices
from durable_agent_team.gateway.keys import KeyMaker, Scrubber, hash_key
from durable_agent_team.gateway.settings import Settings
from durable_agent_team.gateway.stores.store import Account, Store, StoreError
from durable_agent_team.gateway.telemetry import Telemetry

log = logging.getLogger("gateway.http")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
ERROR = web.ResponseKey("gateway.error", ApiError)
"""Where a response holds the error that it is."""
REQUEST_ID = web.RequestKey("gateway.request_id", str)
"""Where a request holds its id: what begins before it ends has to send the id by itself."""
REMEMBERED_KEYS = 10_000
MAX_IDEMPOTENCY_KEY = 200


class Holder(NamedTuple):
    """An account, as log lines name it."""

    id: str
    name: str


@dataclass
class Gateway:
    """Everything the handlers need, wired once."""

    settings: Settings
    store: Store
    calls: CallService
    prices: Prices
    keys: KeyMaker
    scrub: Scrubber
    telemetry: Telemetry | None
    parent_hash: str
    holders: dict[str, Holder]
    """Whose a key is, by its hash."""
    stopping: bool = False

    async def require_parent(self, request: web.Request) -> None:
        """Raises ApiError unless the parent key came with the request."""
        key_hash = _bearer_hash(request)
        if not hmac.compare_digest(key_hash, self.parent_hash):
            if await self._holder(key_hash) is None:
                raise unauthorized()
            raise forbidden("An agent's key cannot manage accounts; use the parent key")

    async def require_agent(self, request: web.Request) -> str:
        """The account whose key came with the request."""
        key_hash = _bearer_hash(request)
        if hmac.compare_digest(key_hash, self.parent_hash):
            raise forbidden("The parent key cannot chat; open an account and use its key")
        holder = await self._holder(key_hash)
        if holder is None:
            raise unauthorized()
        self._label(holder)
        return holder.id

    def about(self, *accounts: Account | None) -> None:
        """From here on, log lines of this request say which accounts it is about."""
        self._label(*(Holder(each.id, self.scrub(each.name)) for each in accounts if each))

    def _label(self, *holders: Holder) -> None:
        request_labels.add(request_labels.ACCOUNT, *(each.id for each in holders))
        request_labels.add(request_labels.ACCOUNT_NAME, *(each.name for each in holders))

    async def _holder(self, key_hash: str) -> Holder | None:
        """A key's account never changes, nor does its name, so it is looked up once."""
        known = self.holders.get(key_hash)
        if known is None:
            found = await self.store.find_account(key_hash)
            if found is not None:
                if len(self.holders) >= REMEMBERED_KEYS:
                    self.holders.pop(next(iter(self.holders)))
                known = self.holders[key_hash] = Holder(found.id, self.scrub(found.name))
        return known


GATEWAY = web.AppKey("gateway", Gateway)


def _bearer_hash(request: web.Request) -> str:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise unauthorized()
    return hash_key(key.strip())


def idempotency_key(request: web.Request) -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is not None and not 0 < len(key) <= MAX_IDEMPOTENCY_KEY:
        raise invalid(f"Idempotency-Key must have 1 to {MAX_IDEMPOTENCY_KEY} characters")
    return key


async def json_object(request: web.Request) -> dict[str, Any]:
    """The body of a management request, with decimals kept exact."""
    raw = await request.read()
    try:
        data = json.loads(raw, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        raise invalid(f"The body is not JSON: {error}", "not_json") from None
    if not isinstance(data, dict):
        raise invalid("The body must be a JSON object", "not_json")
    return data


def respond(body: bytes, status: int, headers: dict[str, str]) -> web.Response:
    return web.Response(body=body, status=status, headers=headers, content_type="application/json")


def respond_json(
    data: Any, status: int = 200, headers: dict[str, str] | None = None
) -> web.Response:
    return respond(json.dumps(data).encode(), status, headers or {})


def figures(account: Account | None) -> dict[str, str]:
    """The account after this answer, in headers, so that nobody has to ask again."""
    if account is None:
        return {}
    return {
        "X-Account-Spent-Usd": usd_text(account.spent),
        "X-Account-Reserved-Usd": usd_text(account.reserved),
    }


@web.middleware
async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns every failure into an error in one shape, and writes one log line for each request."""
    gateway = request.app[GATEWAY]
    started = time.perf_counter()
    request_id = request[REQUEST_ID] = uuid.uuid4().hex[:12]
    response: web.StreamResponse
    try:
        if gateway.stopping and request.path != "/healthz":
            raise unavailable("The gateway is stopping", "stopping")
        response = await handler(request)
    except ApiError as error:
        response = error_response(gateway, request, error)
    except web.HTTPException as error:
        response = error_response(gateway, request, _http_error(gateway, request, error))
    except StoreError as error:
        log.error("store id=%s: %s", request_id, error)
        response = error_response(
            gateway, request, unavailable("The ledger cannot be written", "store_unavailable")
        )
    except Exception:
        path = clean(gateway, request, request.path)
        log.exception("unexpected id=%s %s %s", request_id, request.method, path)
        unexpected = ApiError(500, "internal_error", "internal", f"Unexpected; log id {request_id}")
        response = error_response(gateway, request, unexpected)
    response.headers["X-Request-Id"] = request_id
    if request.path != "/healthz" and log.isEnabledFor(logging.INFO):
        took = (time.perf_counter() - started) * 1000
        path = request.path if response.status < 400 else clean(gateway, request, request.path)
        what = (request.method, path, response.status, took, request_id)
        log.info("%s %s %d %.1fms id=%s", *what)
    return response


def clean(gateway: Gateway, request: web.Request, text: str) -> str:
    """The text without any key in it, whoever wrote it."""
    sent = request.headers.get("Authorization", "").partition(" ")[2].strip()
    return gateway.scrub(text, sent if len(sent) >= 8 else "")


def scrubbed(gateway: Gateway, request: web.Request, body: bytes) -> bytes:
    return clean(gateway, request, body.decode()).encode()


def error_response(
    gateway: Gateway, request: web.Request, error: ApiError, account: Account | None = None
) -> web.Response:
    """The error without any key in it, whoever wrote its text."""
    headers = {**error.headers, **figures(account)}
    response = respond(scrubbed(gateway, request, error.body()), error.status, headers)
    response[ERROR] = error
    return response


def _http_error(gateway: Gateway, request: web.Request, error: web.HTTPException) -> ApiError:
    if error.status == 413:
        most = gateway.settings.gateway_max_body_bytes
        message = f"The body is larger than GATEWAY_MAX_BODY_BYTES ({most} bytes)"
        return invalid(message, "body_too_large", 413)
    message = f"{request.method} {request.path}: {error.reason}"
    allow = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
    return ApiError(
        error.status, "invalid_request_error", f"http_{error.status}", message, {}, allow
    )
