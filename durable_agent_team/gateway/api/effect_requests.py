"""Reads requests about effects, strictly: what is wrong is a 4xx that names its field."""

import json
from typing import Any

from aiohttp import web

from durable_agent_team.gateway.api.effect_shapes import (
    EFFECT,
    EFFECT_BEGIN,
    EFFECT_FINISH,
    EFFECT_RESOLVE,
    MAX_ERROR_MESSAGE,
    MAX_ERROR_TYPE,
    MAX_RESULT_BYTES,
    MAX_TOOL,
    TOOL_ERROR,
)
from durable_agent_team.gateway.api.gateway_context import GATEWAY
from durable_agent_team.gateway.api.http_bodies import (
    idempotency_key,
    read_body,
    refuse_keys,
    without_keys,
)
from durable_agent_team.gateway.api.request_shapes import Schema
from durable_agent_team.gateway.api.request_values import refuse_unknown
from durable_agent_team.gateway.api.scoped_calls import MAX_ATTEMPT, checked_scope
from durable_agent_team.gateway.api_error import invalid, shown
from durable_agent_team.gateway.stores.effect_store import (
    BeginEffect,
    Decision,
    EffectKey,
    EffectState,
    FinishEffect,
    ResolveEffect,
)
from durable_agent_team.gateway.strict_json import parse_request

FINISHES = (EffectState.DONE, EffectState.FAILED, EffectState.UNKNOWN)


def effect_key(request: web.Request, account_id: str) -> EffectKey:
    """Raises ApiError if scope or effect cannot be names."""
    scope = checked_scope(request, request.match_info["scope"])
    effect = request.match_info["effect"]
    if not EFFECT.fullmatch(effect):
        raise invalid(
            "The effect in the path must have 1 to 200 letters, digits and the characters . _ ~ -,"
            f" and begin with a letter or a digit; got {shown(effect)}"
        )
    refuse_keys(request, effect, "The effect in the path")
    return EffectKey(account_id, scope, effect)


async def begin_request(request: web.Request) -> BeginEffect:
    """`{attempt, tool, idempotent?}`, and the header `Idempotency-Key`."""
    data = await _body(request, EFFECT_BEGIN)
    tool = data.get("tool")
    if not isinstance(tool, str) or not 0 < len(tool) <= MAX_TOOL or not tool.isprintable():
        raise invalid(f"`tool` must be 1 to {MAX_TOOL} printable characters; got {shown(tool)}")
    refuse_keys(request, tool, "`tool`")
    idempotent = data.get("idempotent", False)
    if not isinstance(idempotent, bool):
        raise invalid(f"`idempotent` must be true or false; got {shown(idempotent)}")
    return BeginEffect(_attempt(data), tool, idempotent, idempotency_key(request))


async def finish_request(request: web.Request) -> FinishEffect:
    """`{attempt, state: done, result}`, `{…, state: failed, error}` or `{…, state: unknown}`."""
    data = await _body(request, EFFECT_FINISH)
    attempt, state = _attempt(data), data.get("state")
    if not isinstance(state, str) or state not in FINISHES:
        raise invalid(f"`state` must be done, failed or unknown; got {shown(state)}")
    for field, of in (("result", EffectState.DONE), ("error", EffectState.FAILED)):
        if (field in data) != (state == of):
            needs = "needs" if state == of else "has no"
            raise invalid(f"An effect that is {state} {needs} `{field}`")
    if state == EffectState.DONE:
        return FinishEffect(attempt, EffectState.DONE, _result(request, data))
    outcome = _error(request, data["error"]) if state == EffectState.FAILED else None
    return FinishEffect(attempt, EffectState(state), outcome)


async def resolve_request(request: web.Request) -> ResolveEffect:
    """`{decision: retry | skip}` or `{decision: result, result}`, with `attempt?`."""
    data = await _body(request, EFFECT_RESOLVE)
    decision = data.get("decision")
    if not isinstance(decision, str) or decision not in tuple(Decision):
        raise invalid(f"`decision` must be retry, skip or result; got {shown(decision)}")
    if ("result" in data) != (decision == Decision.RESULT):
        needs = "needs a" if decision == Decision.RESULT else "has no"
        raise invalid(f"The decision {decision} {needs} `result`")
    result = _result(request, data) if decision == Decision.RESULT else None
    attempt = _attempt(data) if "attempt" in data else None
    return ResolveEffect(Decision(decision), result, attempt)


async def _body(request: web.Request, shape: Schema) -> dict[str, Any]:
    try:
        data = parse_request(await read_body(request), unique=True)
    except ValueError as error:
        raise invalid(str(error), "not_json") from None
    refuse_unknown(data, shape)
    return data


def _attempt(data: dict[str, Any]) -> int:
    attempt = data.get("attempt")
    if type(attempt) is not int or not 1 <= attempt <= MAX_ATTEMPT:
        raise invalid(f"`attempt` must be a whole number from 1 to 10^9; got {shown(attempt)}")
    return attempt


def _result(request: web.Request, data: dict[str, Any]) -> bytes:
    written = _stored(request, data["result"])
    if len(written) > MAX_RESULT_BYTES:
        message = (
            f"`result` has {len(written)} bytes of JSON, more than {MAX_RESULT_BYTES}: keep it"
            " elsewhere, such as in a file or an object store, and finish with a reference to it"
        )
        raise invalid(message, "result_too_large", 413)
    return written


def _error(request: web.Request, error: object) -> bytes:
    if not isinstance(error, dict):
        raise invalid(f"`error` must be an object with `type` and `message`; got {shown(error)}")
    refuse_unknown(error, TOOL_ERROR)
    for field, least, most in (("type", 1, MAX_ERROR_TYPE), ("message", 0, MAX_ERROR_MESSAGE)):
        text = error.get(field)
        if not isinstance(text, str) or not least <= len(text) <= most:
            raise invalid(
                f"`error.{field}` must be a string of {least} to {most} characters;"
                f" got {shown(text)}"
            )
    return _stored(request, error)


def _stored(request: web.Request, value: Any) -> bytes:
    """Compact JSON without keys: an attempt gets nothing that it did not have, and a file none."""
    clean = _without_keys(request, value)
    return json.dumps(clean, ensure_ascii=False, separators=(",", ":")).encode()


def _without_keys(request: web.Request, value: Any) -> Any:
    if isinstance(value, str):
        return without_keys(request.app[GATEWAY], request, value)
    if isinstance(value, list):
        return [_without_keys(request, each) for each in value]
    if isinstance(value, dict):
        return {
            _without_keys(request, name): _without_keys(request, each)
            for name, each in value.items()
        }
    return value
