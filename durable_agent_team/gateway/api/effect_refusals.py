"""The errors that refused requests about effects are answered with."""

from dataclasses import replace
from typing import Final

from durable_agent_team.gateway.api_error import ApiError, ErrorType, not_found, unauthorized
from durable_agent_team.gateway.stores.effect_store import (
    MAX_EFFECTS,
    MAX_OUTCOME_BYTES,
    EffectKey,
    EffectRefusal,
    EffectReply,
)

FINAL: Final = {"x-should-retry": "false"}
"""The SDKs of OpenAI and Anthropic would otherwise repeat a 409."""

STATUSES: Final[dict[EffectRefusal, tuple[int, ErrorType]]] = {
    EffectRefusal.UNKNOWN: (409, "conflict"),
    EffectRefusal.IN_PROGRESS: (409, "conflict"),
    EffectRefusal.SUPERSEDED: (409, "conflict"),
    EffectRefusal.OTHER_TOOL: (409, "conflict"),
    EffectRefusal.OTHER_ATTEMPT: (409, "conflict"),
    EffectRefusal.ENDED: (409, "conflict"),
    EffectRefusal.RESOLVED: (409, "conflict"),
    EffectRefusal.DROPPED: (410, "conflict"),
    EffectRefusal.FULL: (507, "insufficient_storage"),
    EffectRefusal.DISABLED: (402, "account_disabled"),
}


def effect_refused(answer: EffectReply, key: EffectKey, attempt: int | None) -> ApiError:
    """The error for an answer with a refusal. `attempt` is the request's."""
    refusal, effect = answer.refusal, answer.effect
    if refusal is None:
        raise ValueError("the request was not refused")
    if refusal is EffectRefusal.NO_ACCOUNT:
        return unauthorized()
    if refusal is EffectRefusal.NOT_FOUND:
        return missing(key)
    status, kind = STATUSES[refusal]
    key = replace(key, effect=answer.name or key.effect)
    about = {} if effect is None else {"tool": effect.tool, "attempt": effect.attempt}
    message = _message(refusal, answer, key, attempt)
    return ApiError(
        status, kind, refusal.value, message, {"effect": key.effect, **about}, dict(FINAL)
    )


def missing(key: EffectKey) -> ApiError:
    return not_found(f"No attempt has begun the effect {key.effect} in the scope {key.scope}")


def _message(
    refusal: EffectRefusal, answer: EffectReply, key: EffectKey, attempt: int | None
) -> str:
    effect = answer.effect
    name = f"The effect {key.effect}" + (f" of the tool {effect.tool!r}" if effect else "")
    last = effect.attempt if effect else 0
    match refusal:
        case EffectRefusal.UNKNOWN:
            return (
                f"{name} was begun by attempt {last}, which never said what became of it: it may"
                " have happened. A person decides, with the parent key, by POST .../resolve:"
                " retry, skip or result"
            )
        case EffectRefusal.IN_PROGRESS:
            return (
                f"{name} was begun by attempt {last}, which has not said what became of it. Wait"
                " for it, or for a later attempt to begin it"
            )
        case EffectRefusal.SUPERSEDED:
            newer = max(answer.newest, last)
            return f"Attempt {attempt} is over: attempt {newer} of this scope has begun. End it"
        case EffectRefusal.OTHER_TOOL:
            return f"{name} cannot be begun by another tool. Give the effect another name"
        case EffectRefusal.OTHER_ATTEMPT:
            return f"{name} was begun last by attempt {last}, not by attempt {attempt}"
        case EffectRefusal.RESOLVED:
            return f"{name} was resolved by a person, and stays so"
        case EffectRefusal.DROPPED:
            return (
                f"{name} is {effect.state if effect else 'ended'}; its result was deleted when the"
                " account was disabled. It does not happen again: use a new scope"
            )
        case EffectRefusal.FULL:
            return (
                f"The account has {MAX_EFFECTS} effects, or {MAX_OUTCOME_BYTES} bytes of their"
                " results. Open another account, or return smaller results"
            )
        case EffectRefusal.DISABLED:
            return (
                "The account is disabled; PATCH its `status` to `active` with the parent key, and"
                " its agent can begin effects again"
            )
        case _:
            state = effect.state if effect else "ended"
            return f"{name} is {state} already; what became of it cannot be changed"
