"""The route for embeddings."""

from dataclasses import replace

from aiohttp import web

from durable_agent_team.gateway.api.call_span import trace_call
from durable_agent_team.gateway.api.chat_stream import PaidCall, make_call
from durable_agent_team.gateway.api.gateway_context import GATEWAY
from durable_agent_team.gateway.api.http_bodies import idempotency_key, read_body
from durable_agent_team.gateway.api.scoped_calls import in_scope
from durable_agent_team.gateway.calls.embedding_request import parse_embedding_request
from durable_agent_team.gateway.calls.time_limit import (
    KNOWN_LIMITS_HEADER,
    TIMEOUT_HEADER,
    known_limits,
)


@in_scope
async def embeddings(request: web.Request) -> web.StreamResponse:
    """POST /v1/embeddings with an agent's key: OpenAI's format, with `usage.cost`."""
    gateway = request.app[GATEWAY]
    account_id = await gateway.require_agent(request)
    key = idempotency_key(request)
    call = replace(
        parse_embedding_request(await read_body(request), gateway.models),
        time_limit=gateway.settings.time_limits().of(request.headers.get(TIMEOUT_HEADER)),
        known_limits=known_limits(request.headers.get(KNOWN_LIMITS_HEADER)),
    )
    span = trace_call(gateway.telemetry, call.model, "embeddings")
    return await make_call(request, PaidCall(account_id, key, call), span)
