"""Routes for chat completions, models and health."""

from dataclasses import replace

from aiohttp import web

from durable_agent_team.gateway.amounts import usd
from durable_agent_team.gateway.api.call_span import trace_call
from durable_agent_team.gateway.api.chat_stream import StreamedCall, stream, whole_answer
from durable_agent_team.gateway.api.gateway_context import GATEWAY, GatewayContext
from durable_agent_team.gateway.api.http_bodies import (
    error_response,
    idempotency_key,
    read_body,
    respond_shape,
)
from durable_agent_team.gateway.api.response_shapes import (
    CAPABILITIES,
    Health,
    Limits,
    ModelJson,
    ModelList,
    Pricing,
)
from durable_agent_team.gateway.api_error import not_found, shown
from durable_agent_team.gateway.calls.chat_request import parse_chat_request
from durable_agent_team.gateway.calls.time_limit import (
    KNOWN_LIMITS_HEADER,
    TIMEOUT_HEADER,
    known_limits,
)


async def chat(request: web.Request) -> web.StreamResponse:
    """POST /v1/chat/completions with an agent's key: OpenAI's format, with `usage.cost`."""
    gateway = request.app[GATEWAY]
    account_id = await gateway.require_agent(request)
    key = idempotency_key(request)
    time_limit = gateway.settings.time_limits().of(request.headers.get(TIMEOUT_HEADER))
    known = known_limits(request.headers.get(KNOWN_LIMITS_HEADER))
    chat_request = replace(
        parse_chat_request(await read_body(request), gateway.prices),
        time_limit=time_limit,
        known_limits=known,
    )
    with trace_call(gateway.telemetry, request.headers, chat_request.model) as span:
        if chat_request.stream:
            return await stream(request, StreamedCall(account_id, key, chat_request), span)
        outcome = await gateway.calls.make(account_id, key, chat_request)
        span.record(outcome)
    if outcome.error is not None:
        return error_response(gateway, request, outcome.error, outcome.account)
    return whole_answer(request, outcome)


async def models(request: web.Request) -> web.Response:
    """GET /v1/models, without a key: the models, their prices, and what the gateway guarantees and
    allows."""
    gateway = request.app[GATEWAY]
    listed = [_model_json(gateway, m) for m in gateway.prices.models]
    limits = Limits(max_call_seconds=gateway.settings.gateway_max_call_seconds)
    return respond_shape(
        ModelList(object="list", data=listed, capabilities=CAPABILITIES, limits=limits)
    )


async def model(request: web.Request) -> web.Response:
    """GET /v1/models/{id}: one model."""
    gateway = request.app[GATEWAY]
    name = request.match_info["id"]
    if name not in gateway.prices.models:
        raise not_found(
            f"The model {shown(name)} has no price here; GET /v1/models lists those that have one"
        )
    return respond_shape(_model_json(gateway, name))


def _model_json(gateway: GatewayContext, name: str) -> ModelJson:
    price = gateway.prices.models[name]
    overrun = gateway.calls.overruns.get((name, price.fingerprint), 0)
    return ModelJson(
        id=name,
        object="model",
        created=0,
        owned_by="gateway",
        pricing=Pricing(
            input_usd_per_million=float(price.input_usd_per_million),
            output_usd_per_million=float(price.output_usd_per_million),
        ),
        context_tokens=price.context_tokens,
        default_max_tokens=price.default_max_tokens,
        message_tokens=price.message_tokens,
        request_tokens=price.request_tokens,
        status="refused" if overrun else "active",
        overrun_usd=usd(overrun),
        note=price.note,
    )


async def health(request: web.Request) -> web.Response:
    """GET /healthz: 200 when calls can be made, otherwise 503 and the reason. `open_circuits`: the
    models whose upstream is left alone for now, and for how many seconds."""
    gateway = request.app[GATEWAY]
    problem = "stopping" if gateway.stopping else gateway.calls.upstream.not_ready()
    problem = problem or await gateway.calls.store.not_ready()
    overrun = sum(gateway.calls.overruns.values())
    circuits = gateway.calls.upstream.open_circuits()
    found = Health(status=problem or "ready", overrun_usd=usd(overrun), open_circuits=circuits)
    return respond_shape(found, 503 if problem else 200)
