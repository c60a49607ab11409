"""Routes for chat completions, models and health."""

import asyncio
from collections import Counter
from dataclasses import replace

from aiohttp import web

from durable_agent_team.gateway.amounts import usd
from durable_agent_team.gateway.api.call_span import trace_call
from durable_agent_team.gateway.api.chat_stream import PaidCall, make_call
from durable_agent_team.gateway.api.gateway_context import GATEWAY
from durable_agent_team.gateway.api.http_bodies import idempotency_key, read_body, respond_shape
from durable_agent_team.gateway.api.model_shapes import model_json
from durable_agent_team.gateway.api.response_shapes import (
    CAPABILITIES,
    Health,
    Limits,
    ModelList,
    UpstreamState,
    UpstreamStates,
)
from durable_agent_team.gateway.api.scoped_calls import in_scope
from durable_agent_team.gateway.api_error import not_found
from durable_agent_team.gateway.calls.chat_request import MAX_MODEL_NAME, parse_chat_request
from durable_agent_team.gateway.calls.time_limit import (
    KNOWN_LIMITS_HEADER,
    TIMEOUT_HEADER,
    known_limits,
)


@in_scope
async def chat(request: web.Request) -> web.StreamResponse:
    """POST /v1/chat/completions with an agent's key: OpenAI's format, with `usage.cost`."""
    gateway = request.app[GATEWAY]
    account_id = await gateway.require_agent(request)
    key = idempotency_key(request)
    known = known_limits(request.headers.get(KNOWN_LIMITS_HEADER))
    chat_request = parse_chat_request(await read_body(request), gateway.models)
    asked = request.headers.get(TIMEOUT_HEADER)
    chat_request.time_limit = gateway.settings.time_limits().of(asked, chat_request.target)
    chat_request.known_limits = known
    span = trace_call(gateway.telemetry, chat_request.model)
    return await make_call(request, PaidCall(account_id, key, chat_request), span)


async def models(request: web.Request) -> web.Response:
    """GET /v1/models, without a key: the models, their prices, and what the gateway guarantees and
    allows."""
    gateway = request.app[GATEWAY]
    listed = [model_json(gateway, each) for each in await asyncio.to_thread(gateway.models.listed)]
    limits = Limits(max_call_seconds=gateway.settings.gateway_max_call_seconds)
    return respond_shape(
        ModelList(object="list", data=listed, capabilities=CAPABILITIES, limits=limits)
    )


async def model(request: web.Request) -> web.Response:
    """GET /v1/models/{id}: one model, also one that is not in the list."""
    gateway = request.app[GATEWAY]
    name = request.match_info["id"]
    found = gateway.models.find(name)
    if found is None:
        why = gateway.models.why_not(name[:MAX_MODEL_NAME])
        raise replace(not_found(why.text), extra=why.fields)
    return respond_shape(model_json(gateway, found))


async def upstreams(request: web.Request) -> web.Response:
    """GET /v1/upstreams with the parent key: asks every upstream now, which costs nothing."""
    gateway = request.app[GATEWAY]
    await gateway.require_parent(request)
    found = await gateway.check_upstreams()
    listed = await asyncio.to_thread(gateway.models.listed)
    count = Counter(each.upstream for each in listed)
    states = [
        UpstreamState(name=each.name, state=each.state, detail=each.detail, models=count[each.name])
        for each in found
    ]
    return respond_shape(UpstreamStates(upstreams=states))


async def health(request: web.Request) -> web.Response:
    """GET /healthz: 200 when calls can be made, otherwise 503 and the reason. `open_circuits`: the
    models whose upstream is left alone for now, and for how many seconds."""
    gateway = request.app[GATEWAY]
    problem = "stopping" if gateway.stopping else gateway.calls.upstream.not_ready()
    problem = problem or await gateway.calls.store.not_ready() or await gateway.blobs.not_ready()
    overrun = sum(gateway.calls.overruns.values())
    circuits = gateway.calls.upstream.open_circuits()
    found = Health(status=problem or "ready", overrun_usd=usd(overrun), open_circuits=circuits)
    return respond_shape(found, 503 if problem else 200)
