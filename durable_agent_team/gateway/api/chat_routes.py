"""Chat completions, models and health over HTTP."""

from typing import Any

from aiohttp import web

from durable_agent_team.gateway.amounts import usd
from durable_agent_team.gateway.api.account_routes import CAPABILITIES
from durable_agent_team.gateway.api.chat_stream import Call, plain, stream
from durable_agent_team.gateway.api.middleware import (
    GATEWAY,
    Gateway,
    error_response,
    idempotency_key,
    respond_json,
)
from durable_agent_team.gateway.api_error import not_found
from durable_agent_team.gateway.calls.chat_request import parse
from durable_agent_team.gateway.telemetry import traced


async def chat(request: web.Request) -> web.StreamResponse:
    """POST /v1/chat/completions with an agent's key: OpenAI's shape, with `usage.cost`."""
    gateway = request.app[GATEWAY]
    account_id = await gateway.require_agent(request)
    key = idempotency_key(request)
    asked = parse(await request.read(), gateway.prices)
    with traced(gateway.telemetry, request.headers, asked.model) as span:
        if asked.stream:
            return await stream(request, Call(account_id, key, asked), span)
        outcome = await gateway.calls.make(account_id, key, asked)
        span.record(outcome)
    if outcome.error is not None:
        return error_response(gateway, request, outcome.error, outcome.account)
    return plain(request, outcome)


async def models(request: web.Request) -> web.Response:
    """GET /v1/models, without a key: what can be called, its price, and what is promised."""
    gateway = request.app[GATEWAY]
    listed = [_model(gateway, m) for m in gateway.prices.models]
    return respond_json({"object": "list", "data": listed, "capabilities": CAPABILITIES})


async def model(request: web.Request) -> web.Response:
    """GET /v1/models/{id}: one of them."""
    gateway = request.app[GATEWAY]
    name = request.match_info["id"]
    if name not in gateway.prices.models:
        raise not_found(f"The model {name!r} has no price here; GET /v1/models lists those that do")
    return respond_json(_model(gateway, name))


def _model(gateway: Gateway, name: str) -> dict[str, Any]:
    price = gateway.prices.models[name]
    overrun = gateway.calls.refused.get((name, price.fingerprint), 0)
    return {
        "id": name,
        "object": "model",
        "created": 0,
        "owned_by": "gateway",
        "pricing": {
            "input_usd_per_million": float(price.input_usd_per_million),
            "output_usd_per_million": float(price.output_usd_per_million),
        },
        "context_tokens": price.context_tokens,
        "default_max_tokens": price.default_max_tokens,
        "message_tokens": price.message_tokens,
        "request_tokens": price.request_tokens,
        "status": "refused" if overrun else "active",
        "overrun_usd": usd(overrun),
        "note": price.note,
    }


async def health(request: web.Request) -> web.Response:
    """GET /healthz: 200 when calls can be made, else 503 and why."""
    gateway = request.app[GATEWAY]
    why = "stopping" if gateway.stopping else gateway.calls.upstream.not_ready()
    why = why or await gateway.calls.store.not_ready()
    overrun = sum(gateway.calls.refused.values())
    body = {"status": why or "ready", "overrun_usd": usd(overrun)}
    return respond_json(body, 503 if why else 200)
