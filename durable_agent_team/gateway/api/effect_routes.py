"""Routes for effects: what an agent's tools do to the world, each once (docs/effects.md)."""

import json
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from durable_agent_team.gateway.api.effect_refusals import effect_refused, missing
from durable_agent_team.gateway.api.effect_requests import (
    begin_request,
    effect_key,
    finish_request,
    resolve_request,
)
from durable_agent_team.gateway.api.effect_shapes import (
    EffectDetails,
    EffectEntry,
    EffectList,
    EffectState,
    ToolError,
)
from durable_agent_team.gateway.api.gateway_context import GATEWAY
from durable_agent_team.gateway.api.http_bodies import respond_shape
from durable_agent_team.gateway.api.request_shapes import MAX_AFTER, MAX_PAGE, PAGE
from durable_agent_team.gateway.api.request_values import whole
from durable_agent_team.gateway.api.scope_routes import scope_account
from durable_agent_team.gateway.api.scoped_calls import checked_scope
from durable_agent_team.gateway.stores import effect_store
from durable_agent_team.gateway.stores.effect_store import EffectKey, EffectReply, ListedEffect


async def begin_effect(request: web.Request) -> web.Response:
    """POST .../begin: `begun` means: do it now. Otherwise, what became of it."""
    gateway = request.app[GATEWAY]
    key = effect_key(request, await gateway.require_agent(request))
    asked = await begin_request(request)
    return _respond(key, await gateway.store.effects.begin(key, asked), asked.attempt)


async def finish_effect(request: web.Request) -> web.Response:
    """POST .../finish, by the attempt that began it last."""
    gateway = request.app[GATEWAY]
    key = effect_key(request, await gateway.require_agent(request))
    ended = await finish_request(request)
    return _respond(key, await gateway.store.effects.finish(key, ended), ended.attempt)


async def resolve_effect(request: web.Request) -> web.Response:
    """POST .../resolve?agent=ID with the parent key: a person's decision."""
    gateway = request.app[GATEWAY]
    await gateway.require_parent(request)
    key = effect_key(request, await scope_account(request))
    decided = await resolve_request(request)
    return _respond(key, await gateway.store.effects.resolve(key, decided), decided.attempt)


async def list_effects(request: web.Request) -> web.Response:
    """GET /v1/scopes/{scope}/effects?limit=&after=, without results."""
    gateway = request.app[GATEWAY]
    account_id = await scope_account(request)
    scope = checked_scope(request, request.match_info["scope"])
    limit = whole(request, "limit", PAGE, 1, MAX_PAGE)
    after = whole(request, "after", 0, 0, MAX_AFTER)
    page = await gateway.store.effects.listed(account_id, scope, after, limit + 1)
    entries = [EffectEntry(**_entry(each)) for each in page[:limit]]
    return respond_shape(EffectList(data=entries, has_more=len(page) > limit))


async def read_effect(request: web.Request) -> web.Response:
    """GET /v1/scopes/{scope}/effects/{effect}, with its result."""
    gateway = request.app[GATEWAY]
    key = effect_key(request, await scope_account(request))
    found = await gateway.store.effects.read(key)
    if found is None:
        raise missing(key)
    listed, outcome = found
    return respond_shape(EffectDetails(**_entry(listed), **_outcome(listed.state, outcome)))


def _respond(key: EffectKey, answer: EffectReply, attempt: int | None) -> web.Response:
    effect = answer.effect
    if answer.refusal is not None or effect is None:
        raise effect_refused(answer, key, attempt)
    return respond_shape(
        EffectState(
            effect=key.effect,
            tool=effect.tool,
            state=effect.state.value,
            attempt=effect.attempt,
            **_outcome(effect.state, effect.outcome),
        )
    )


def _outcome(state: effect_store.EffectState, outcome: bytes | None) -> dict[str, Any]:
    if outcome is None:
        return {}
    value = json.loads(outcome)
    if state is effect_store.EffectState.FAILED:
        return {"error": ToolError(**value)}
    return {"result": value}


def _entry(each: ListedEffect) -> dict[str, Any]:
    return {
        "id": each.id,
        "effect": each.effect,
        "tool": each.tool,
        "idempotent": each.idempotent,
        "state": each.state.value,
        "attempt": each.attempt,
        "decision": each.decision and each.decision.value,
        "began_at": _time(each.began_at),
        "ended_at": None if each.ended_at is None else _time(each.ended_at),
        "result_bytes": each.outcome_bytes,
    }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
