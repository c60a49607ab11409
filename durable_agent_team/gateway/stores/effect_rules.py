"""What each request makes of an effect. Pure: the store reads the effect and writes the answer.

The promise: an effect that is not idempotent is begun once, unless a person has it begun again.
Only an attempt that was told `begun` may run the tool. docs/effects.md has every interleaving of
two attempts as a table; tests/gateway/test_effect_rules.py generates them.
"""

from dataclasses import replace

from durable_agent_team.gateway.stores.effect_store import (
    BeginEffect,
    Decision,
    Effect,
    EffectRefusal,
    EffectReply,
    EffectState,
    FinishEffect,
    ResolveEffect,
)

RESOLVED: dict[Decision, EffectState] = {
    Decision.RETRY: EffectState.RETRY,
    Decision.SKIP: EffectState.SKIPPED,
    Decision.RESULT: EffectState.DONE,
}
"""What a decision makes of an effect."""
RESOLVABLE = (EffectState.UNKNOWN, EffectState.FAILED, EffectState.RETRY)
WITH_OUTCOME = (EffectState.DONE, EffectState.FAILED)
ENDED = (*WITH_OUTCOME, EffectState.SKIPPED)


def begin(effect: Effect | None, request: BeginEffect, newest: int) -> EffectReply:
    """Without a refusal: the tool may run if the state is BEGUN; otherwise this is what became of
    it. `newest` is the newest attempt that the scope has seen."""
    newest = max(newest, effect.attempt if effect else 0)
    if request.attempt < newest:
        return EffectReply(effect, EffectRefusal.SUPERSEDED, newest)
    if effect is None:
        begun = Effect(
            request.tool, request.idempotent, EffectState.BEGUN, request.attempt, request.key
        )
        return EffectReply(begun, newest=request.attempt)
    return replace(_begin_again(effect, request), newest=request.attempt)


def _begin_again(effect: Effect, request: BeginEffect) -> EffectReply:
    if effect.tool != request.tool:
        return EffectReply(effect, EffectRefusal.OTHER_TOOL)
    if effect.state in WITH_OUTCOME and effect.outcome is None:
        return EffectReply(effect, EffectRefusal.DROPPED)
    if effect.state in ENDED:
        return EffectReply(effect)
    if effect.state is EffectState.BEGUN and effect.attempt == request.attempt:
        if request.key is not None and request.key == effect.begin_key:
            return EffectReply(effect)  # the first response was lost
        return EffectReply(effect, EffectRefusal.IN_PROGRESS)
    if effect.state is EffectState.RETRY or request.idempotent:
        return EffectReply(
            replace(
                effect,
                idempotent=request.idempotent,
                state=EffectState.BEGUN,
                attempt=request.attempt,
                begin_key=request.key,
            )
        )
    return EffectReply(replace(effect, state=EffectState.UNKNOWN), EffectRefusal.UNKNOWN)


def must_wait_for_a_person(
    before: Effect | None, answer: EffectReply, request: BeginEffect
) -> bool:
    """Whether this effect must not begin while another one of the scope is unknown: the attempt is
    going to end, or goes another way than the one that died, perhaps to the same end."""
    begins = answer.refusal is None and answer.effect != before
    return begins and not request.idempotent


def finish(effect: Effect | None, request: FinishEffect) -> EffectReply:
    """The attempt that began the effect last says what became of it, however late: if it is done,
    that is true, and better than to ask a person."""
    if effect is None:
        return EffectReply(None, EffectRefusal.NOT_FOUND)
    if request.attempt < effect.attempt:
        return EffectReply(effect, EffectRefusal.SUPERSEDED)
    if request.attempt > effect.attempt:
        return EffectReply(effect, EffectRefusal.OTHER_ATTEMPT)
    ended = replace(effect, state=request.state, outcome=request.outcome)
    if effect.state in (EffectState.BEGUN, EffectState.UNKNOWN):
        return EffectReply(ended)
    if effect.state is EffectState.RETRY and request.state is EffectState.DONE:
        return EffectReply(ended)  # it need not happen again
    if effect.state not in WITH_OUTCOME or effect.decision is Decision.RESULT:
        return EffectReply(effect, EffectRefusal.RESOLVED)
    same = effect.state is request.state and effect.outcome in (None, request.outcome)
    return EffectReply(effect, None if same else EffectRefusal.ENDED)


def resolve(effect: Effect | None, request: ResolveEffect) -> EffectReply:
    """A person's decision about an effect that is unknown or has failed. The same decision again
    changes nothing."""
    if effect is None:
        return EffectReply(None, EffectRefusal.NOT_FOUND)
    if request.attempt is not None and request.attempt != effect.attempt:
        return EffectReply(effect, EffectRefusal.OTHER_ATTEMPT)
    state = RESOLVED[request.decision]
    again = effect.decision is request.decision and effect.state is state
    if again and (state is not EffectState.DONE or effect.outcome in (None, request.result)):
        return EffectReply(effect)
    if effect.state is EffectState.BEGUN:
        return EffectReply(effect, EffectRefusal.IN_PROGRESS)
    if effect.state not in RESOLVABLE:
        return EffectReply(effect, EffectRefusal.ENDED)
    return EffectReply(
        replace(effect, state=state, decision=request.decision, outcome=request.result)
    )
