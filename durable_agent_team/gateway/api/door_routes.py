"""Routes for calls in other formats than chat completions: OpenAI's Responses and Anthropic's
Messages."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from durable_agent_team.gateway.api.call_span import trace_call
from durable_agent_team.gateway.api.chat_stream import PaidCall, make_call
from durable_agent_team.gateway.api.door import Door, DoorAnswer, Json
from durable_agent_team.gateway.api.gateway_context import GATEWAY, GatewayContext
from durable_agent_team.gateway.api.http_bodies import (
    idempotency_key,
    read_body,
    without_keys_in,
)
from durable_agent_team.gateway.api.scoped_calls import in_scope
from durable_agent_team.gateway.calls.chat_request import (
    ChatRequest,
    bounded_request,
    door_hash,
    read_object,
)
from durable_agent_team.gateway.calls.time_limit import (
    KNOWN_LIMITS_HEADER,
    TIMEOUT_HEADER,
    known_limits,
)
from durable_agent_team.gateway.doors.messages_answer import error_from_chat, message_from_chat
from durable_agent_team.gateway.doors.messages_events import MessageEvents
from durable_agent_team.gateway.doors.messages_request import DOOR as MESSAGES_PATH
from durable_agent_team.gateway.doors.messages_request import chat_from_messages
from durable_agent_team.gateway.doors.responses_answer import response_from_chat
from durable_agent_team.gateway.doors.responses_events import ResponseEvents
from durable_agent_team.gateway.doors.responses_request import DOOR as RESPONSES_PATH
from durable_agent_team.gateway.doors.responses_request import chat_from_responses
from durable_agent_team.gateway.doors.unnamed_responses import for_its_client

NOT_REPEATED = frozenset({"input", "messages", "system"})
"""Fields that no answer repeats."""


async def call_through(door: Door, request: web.Request) -> web.StreamResponse:
    """One paid call, as at `/v1/chat/completions`: the same limits, keys, replays and charges."""
    gateway = request.app[GATEWAY]
    account_id = await gateway.require_agent(request)
    key = idempotency_key(request)
    sent = read_object(await read_body(request))
    chat_request = _chat_request(gateway, request, door, sent)
    repeated = {name: value for name, value in sent.items() if name not in NOT_REPEATED}
    repeated = for_its_client(repeated, request.headers.get("User-Agent", ""))
    answer = DoorAnswer(door, without_keys_in(gateway, request, repeated))
    span = trace_call(gateway.telemetry, chat_request.model)
    return await make_call(request, PaidCall(account_id, key, chat_request, answer), span)


def _chat_request(
    gateway: GatewayContext, request: web.Request, door: Door, sent: Json
) -> ChatRequest:
    bounded = bounded_request(door.to_chat(sent), gateway.models, door_hash(door.path, sent))
    asked = request.headers.get(TIMEOUT_HEADER)
    bounded.time_limit = gateway.settings.time_limits().of(asked, bounded.target)
    bounded.known_limits = known_limits(request.headers.get(KNOWN_LIMITS_HEADER))
    return bounded


def _handler(door: Door) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    @in_scope
    async def handle(request: web.Request) -> web.StreamResponse:
        return await call_through(door, request)

    return handle


RESPONSES = Door(
    RESPONSES_PATH,
    chat_from_responses,
    response_from_chat,
    ResponseEvents,
    error=lambda body, _: body,
)
MESSAGES = Door(
    MESSAGES_PATH, chat_from_messages, message_from_chat, MessageEvents, error_from_chat
)
messages = _handler(MESSAGES)
"""POST /v1/messages with an agent's key: Anthropic's Messages."""
responses = _handler(RESPONSES)
"""POST /v1/responses with an agent's key: OpenAI's Responses API, without stored responses."""
