"""Effects: what a program's tools did outside, and what a person decides about one."""

from enum import StrEnum

from pydantic import Field

from durable_agent_team.contracts.base import Message

MAX_EFFECT_NAME = 300
"""Characters of an effect's name, which the program's library makes."""

MAX_EFFECT_RESULT = 200_000
"""Characters of a result that a person gives, in place of the tool's own."""


class UnknownEffect(Message):
    """An effect that was begun and never ended: nobody knows whether it happened."""

    effect: str = Field(max_length=MAX_EFFECT_NAME)
    tool: str = Field("", max_length=200)
    attempt: int = Field(ge=1)
    """The attempt of the scope that began it."""


class EffectDecision(StrEnum):
    """What a person decides about an unknown effect."""

    RETRY = "retry"
    """It did not happen, or may happen again: the tool runs again."""
    SKIP = "skip"
    """The tool does not run; the program gets no result for it."""
    RESULT = "result"
    """It happened: the program gets this result, and the tool does not run."""


class EffectAnswer(Message):
    """A person's decision about an effect; the activity gives it to the gateway before the program
    starts."""

    effect: str = Field(max_length=MAX_EFFECT_NAME)
    decision: EffectDecision
    result: str | None = Field(None, max_length=MAX_EFFECT_RESULT)
    """Only with `decision: result`: JSON, or else a text."""
    attempt: int | None = Field(None, ge=1)
    """The attempt that died inside: the gateway takes the decision for no other, so that it counts
    once, also if an activity that has used it is attempted again."""
