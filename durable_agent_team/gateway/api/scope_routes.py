"""The route that says what a scope has cost, and how its calls ended."""

import json

from aiohttp import web

from durable_agent_team.gateway.amounts import parse_usd, usd
from durable_agent_team.gateway.api.account_routes import unknown_account
from durable_agent_team.gateway.api.gateway_context import GATEWAY, GatewayContext
from durable_agent_team.gateway.api.http_bodies import query_value, respond_shape
from durable_agent_team.gateway.api.request_values import wait_seconds
from durable_agent_team.gateway.api.response_shapes import (
    LastError,
    ScopeCalls,
    ScopeJson,
    ScopeUsage,
)
from durable_agent_team.gateway.api.scoped_calls import (
    checked_attempt,
    checked_scope,
    client_is_there,
)
from durable_agent_team.gateway.api_error import invalid
from durable_agent_team.gateway.stores.scope_records import ScopeState


async def scope(request: web.Request) -> web.Response:
    """GET /v1/scopes/{scope} with the agent's key, or with the parent key and `?agent=ID`. A scope
    in which nothing was called yet has attempt 0 and no costs. With `wait_seconds` and `spent_usd`
    it answers as soon as the scope has cost another amount than that. With `attempt` it begins that
    attempt, as the attempt's first call would."""
    name = checked_scope(request, request.match_info["scope"])
    known, seconds = _known_spend(request)
    begins = query_value(request, "attempt")
    attempt = None if begins is None else checked_attempt(begins)
    account_id = await scope_account(request)
    if attempt is not None:
        await _enter(request.app[GATEWAY], account_id, name, attempt)
    state = await request.app[GATEWAY].calls.scope_watch.state(
        account_id, name, known, seconds, lambda: client_is_there(request)
    )
    return respond_shape(_shape(name, state))


async def _enter(gateway: GatewayContext, account_id: str, name: str, attempt: int) -> None:
    newest = await gateway.store.enter_scope(account_id, name, attempt)
    gateway.calls.claims.saw(account_id, name, newest)


def _known_spend(request: web.Request) -> tuple[int | None, float]:
    """`spent_usd` in micro-USD, and `wait_seconds`. Raises ApiError."""
    seconds, spent = wait_seconds(request, {}), query_value(request, "spent_usd")
    if spent is None:
        if seconds:
            raise invalid("`wait_seconds` needs `spent_usd`: what the scope is known to have cost")
        return None, 0.0
    try:
        return parse_usd(spent, "`spent_usd`"), seconds
    except ValueError as error:
        raise invalid(str(error)) from None


async def scope_account(request: web.Request) -> str:
    """The account whose scope is meant. Raises ApiError."""
    gateway = request.app[GATEWAY]
    agent = query_value(request, "agent")
    if not gateway.has_parent_key(request):
        account_id = await gateway.require_agent(request)
        if agent not in (None, account_id):
            raise invalid("`agent` is another account than that of the key; leave it out")
        return account_id
    if agent is None:
        raise invalid("With the parent key, `?agent=ID` says whose scope is meant")
    account = await gateway.store.account(agent)
    if account is None:
        raise unknown_account(agent)
    gateway.label_accounts(account)
    return account.id


def _shape(name: str, state: ScopeState) -> ScopeJson:
    calls = ScopeCalls(
        charged=state.charged,
        replayed=state.replayed,
        refused=state.refused,
        failed=state.failed,
        in_flight=state.in_flight,
    )
    return ScopeJson(
        scope=name,
        attempt=state.attempt,
        spent_usd=usd(state.spent),
        reserved_usd=usd(state.reserved),
        calls=calls,
        possibly_billed_calls=state.possibly_billed_calls,
        possibly_billed_usd=usd(state.possibly_billed),
        last_refusal=_last(state.last_refusal),
        last_failure=_last(state.last_failure),
        last_limit=state.last_limit,
        usage=ScopeUsage(
            prompt_tokens=state.prompt_tokens,
            completion_tokens=state.completion_tokens,
            cached_tokens=state.cached_tokens,
            cache_write_tokens=state.cache_write_tokens,
            reasoning_tokens=state.reasoning_tokens,
            saved_usd=usd(state.saved),
        ),
    )


def _last(text: str | None) -> LastError | None:
    return LastError(**json.loads(text)) if text is not None else None
