"""The interface of a store of effects: what an agent's tools do to the world, each once.

An effect belongs to an account and a scope, and has a name that its client makes. Attempts of a
scope are numbers that grow. `effect_rules.py` decides what each request makes of an effect, and
`sqlite_effects.py` implements this interface. Times are Unix seconds.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

MAX_EFFECTS = 10_000
"""The most effects of one account, in all its scopes."""
MAX_OUTCOME_BYTES = 64 * 1024 * 1024
"""For all results and errors of one account. An effect that has begun can still end above it."""


class EffectState(StrEnum):
    BEGUN = "begun"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """It may have happened: the attempt that began it died inside, or does not know."""
    RETRY = "retry"
    """A person has it begun again, and no attempt has done so yet."""
    SKIPPED = "skipped"
    """A person has it left out."""


class Decision(StrEnum):
    """What a person says about an effect that may have happened."""

    RETRY = "retry"
    SKIP = "skip"
    RESULT = "result"


class EffectRefusal(StrEnum):
    UNKNOWN = "effect_unknown"
    IN_PROGRESS = "effect_in_progress"
    SUPERSEDED = "attempt_superseded"
    OTHER_TOOL = "effect_conflict"
    OTHER_ATTEMPT = "effect_of_another_attempt"
    ENDED = "effect_ended"
    RESOLVED = "effect_resolved"
    DROPPED = "result_dropped"
    FULL = "effects_full"
    DISABLED = "account_disabled"
    NO_ACCOUNT = "no_account"
    NOT_FOUND = "not_found"
    """No attempt has begun it."""


@dataclass(frozen=True, slots=True)
class EffectKey:
    account_id: str
    scope: str
    effect: str


@dataclass(frozen=True, slots=True)
class Effect:
    tool: str
    idempotent: bool
    state: EffectState
    attempt: int
    """That began it last."""
    begin_key: str | None = None
    """The Idempotency-Key of that request."""
    outcome: bytes | None = None
    """JSON: the result if it is done, the error if it failed. None if it was dropped."""
    decision: Decision | None = None
    """A person's last one."""


@dataclass(frozen=True, slots=True)
class ListedEffect:
    id: int
    effect: str
    tool: str
    idempotent: bool
    state: EffectState
    attempt: int
    decision: Decision | None
    began_at: float
    ended_at: float | None
    outcome_bytes: int


@dataclass(frozen=True, slots=True)
class BeginEffect:
    attempt: int
    tool: str
    idempotent: bool
    key: str | None = None
    """The same attempt with the same key is the same request: it may begin what it has begun."""


@dataclass(frozen=True, slots=True)
class FinishEffect:
    attempt: int
    state: EffectState
    """DONE, FAILED, or UNKNOWN if the attempt does not know what became of it."""
    outcome: bytes | None


@dataclass(frozen=True, slots=True)
class ResolveEffect:
    decision: Decision
    result: bytes | None = None
    attempt: int | None = None
    """The attempt that the decision is about; None for whichever began the effect last."""


@dataclass(frozen=True, slots=True)
class EffectReply:
    """The effect after the request. With a `refusal` the request was not carried out."""

    effect: Effect | None
    refusal: EffectRefusal | None = None
    newest: int = 0
    """The newest attempt that this scope has seen."""
    name: str = ""
    """If `effect` is another one than was asked about: its name."""


class EffectStore(Protocol):
    """Every method is one transaction, and raises `StoreError` where the database fails. What
    changes an effect is on disk when it returns."""

    async def begin(self, key: EffectKey, request: BeginEffect) -> EffectReply: ...

    async def finish(self, key: EffectKey, request: FinishEffect) -> EffectReply: ...

    async def resolve(self, key: EffectKey, request: ResolveEffect) -> EffectReply: ...

    async def read(self, key: EffectKey) -> tuple[ListedEffect, bytes | None] | None:
        """The effect and its outcome."""

    async def listed(
        self, account_id: str, scope: str, after: int, limit: int
    ) -> list[ListedEffect]:
        """Effects of a scope in the order in which they were first begun."""
