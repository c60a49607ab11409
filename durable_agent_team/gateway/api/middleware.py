"""What every request goes through: errors become responses in one format, and it is logged."""

import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial

from aiohttp import web

from durable_agent_team.gateway.api.gateway_context import GATEWAY, GatewayContext
from durable_agent_team.gateway.api.http_bodies import REQUEST_ID, error_response, without_keys
from durable_agent_team.gateway.api.not_served import not_served
from durable_agent_team.gateway.api_error import SCRUB, ApiError, invalid, unavailable, unexpected
from durable_agent_team.gateway.identifiers import request_id as new_request_id
from durable_agent_team.gateway.stores.store import StoreError

log = logging.getLogger("gateway.http")
MAX_PATH = 300
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def handle_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns every exception into an error response, and logs one line for each request."""
    gateway = request.app[GATEWAY]
    started = time.perf_counter()
    SCRUB.set(partial(without_keys, gateway, request))
    request_id = request[REQUEST_ID] = new_request_id()
    response: web.StreamResponse
    try:
        if gateway.stopping and request.path != "/healthz":
            raise unavailable("The gateway is stopping", "stopping")
        response = await handler(request)
    except ApiError as error:
        response = error_response(gateway, request, error)
    except web.HTTPException as error:
        response = error_response(gateway, request, http_error(gateway, request, error))
    except StoreError as error:
        log.error("store id=%s: %s", request_id, error)
        response = error_response(gateway, request, store_unavailable())
    except Exception:
        path = without_keys(gateway, request, request.path)
        log.exception("unexpected id=%s %s %s", request_id, request.method, path[:MAX_PATH])
        response = error_response(gateway, request, unexpected(request_id))
    response.headers["X-Request-Id"] = request_id
    if request.path != "/healthz" and log.isEnabledFor(logging.INFO):
        _log_request(gateway, request, response.status, time.perf_counter() - started)
    return response


def store_unavailable() -> ApiError:
    message = "The gateway's database cannot be written: GET /healthz says why"
    return unavailable(message, "store_unavailable")


def _log_request(
    gateway: GatewayContext, request: web.Request, status: int, seconds: float
) -> None:
    path = without_keys(gateway, request, request.path)[:MAX_PATH]
    fields = (request.method, path, status, seconds * 1000, request[REQUEST_ID])
    # Not `log.info`, which looks for its caller: that takes as long as the rest of the line.
    message = "%s %s %d %.1fms id=%s"
    log.handle(log.makeRecord(log.name, logging.INFO, "", 0, message, fields, None))


def http_error(gateway: GatewayContext, request: web.Request, error: web.HTTPException) -> ApiError:
    if error.status == 413:
        limit = gateway.settings.gateway_max_body_bytes
        message = f"The body is larger than GATEWAY_MAX_BODY_BYTES ({limit} bytes)"
        return invalid(message, "body_too_large", 413)
    path = without_keys(gateway, request, request.path)[:MAX_PATH]
    allow = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
    why = error.reason
    if error.status == 404:
        why = "nothing is served at this path; GET /openapi.json lists what is"
    elif allow:
        why = f"this path takes {allow['Allow'].replace(',', ', ')}"
    message = f"{request.method} {path}: {not_served(request.path) or why}"
    return ApiError(
        error.status, "invalid_request_error", f"http_{error.status}", message, {}, allow
    )
