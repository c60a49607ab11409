"""Decides what follows a call of a tool that ended without a result. Pure.

The rule for effects that happen `once`: what was never sent is sent again, and what may have run
waits for a person (docs/adr/050). An activity says with its error whether the tool may have run;
where it cannot (its worker is lost), its last heartbeat says so.
"""

from dataclasses import dataclass

from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    CancelledError,
    TimeoutError,
    TimeoutType,
)

from durable_agent_team.contracts.bounded_text import cut
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.run import Failure
from durable_agent_team.contracts.tool_call import ToolFailure
from durable_agent_team.contracts.tool_kinds import Effects
from workflows.activity_errors import KINDS, details_as

ROUNDS = 3
"""How many activities can be lost with their workers, or send nothing, before the call parks."""

NEVER_RUN = frozenset({ErrorType.TOOL_CHANGED, ErrorType.TOOL_ASKS, ErrorType.TOOL_UNAVAILABLE})
"""The activity ends with these before it calls the tool, or the tool has refused to run."""


@dataclass(frozen=True)
class Ended:
    """What is known of an activity that failed."""

    failure: Failure
    sent: bool
    """The tool may have run."""
    lost: bool = False
    """A worker died, or did not answer in time."""
    known: ToolFailure | None = None
    """What the activity itself says; None where it could not say anything."""


@dataclass(frozen=True)
class Again:
    """Make the call again, under its key."""


@dataclass(frozen=True)
class WorkerStopped:
    """Make the call again: its worker was shut down before it was sent, which is no failure. One
    deployment may do that on each of many workers."""


@dataclass(frozen=True)
class TellModel:
    """The failure is the call's result."""

    text: str


@dataclass(frozen=True)
class ParkCall:
    """Wait for a person."""

    failure: Failure


@dataclass(frozen=True)
class NoMoney:
    """The account cannot pay for the call: nothing has run."""

    failure: Failure


@dataclass(frozen=True)
class MoneyReserved:
    """The account's money is reserved by other calls: nothing has run."""


Outcome = Again | WorkerStopped | TellModel | ParkCall | NoMoney | MoneyReserved


def ended(error: BaseException, effects: Effects) -> Ended:
    """What an activity's error says. Where an effect that happens once could have been sent, and
    nothing says that it was not, it counts as sent."""
    cause = error.__cause__ if isinstance(error, ActivityError) else error
    if isinstance(cause, ApplicationError):
        return _reported(cause, effects)
    if isinstance(cause, TimeoutError):
        sent = effects is Effects.ONCE and bool(cause.last_heartbeat_details)
        lost = cause.type is TimeoutType.HEARTBEAT
        what = "no worker reported in time that it still has the call"
        if not lost:
            what = "the call's worker did not end it in time"
        kind = ErrorType.WORKER_LOST if lost else ErrorType.TOOL_TIMEOUT
        return Ended(Failure(type=kind, message=what), sent=sent, lost=True)
    if isinstance(cause, CancelledError):  # it would have said that the tool was called
        return Ended(Failure(type=ErrorType.CANCELLED, message="cancelled"), sent=False)
    message = cut(str(cause or error), 2_000)
    return Ended(Failure(type=ErrorType.INTERNAL, message=message), sent=effects is Effects.ONCE)


def _reported(cause: ApplicationError, effects: Effects) -> Ended:
    known = details_as(ToolFailure, cause)
    kind = ErrorType(cause.type) if cause.type in KINDS else ErrorType.INTERNAL
    failure = Failure(
        type=kind,
        message=cut(cause.message, 2_000),
        required_usd=known.required_usd if known else None,
        remaining_usd=known.remaining_usd if known else None,
    )
    if effects is not Effects.ONCE or kind in NEVER_RUN:
        return Ended(failure, sent=False, known=known)
    sent = kind is ErrorType.EFFECT_UNKNOWN or known is None or known.sent
    return Ended(failure, sent=sent, known=known)


def decide(end: Ended, source: str, effects: Effects, rounds: int) -> Outcome:
    """`rounds` is how many activities the call has had since a person decided about it last."""
    failure = end.failure
    kind = ErrorType(failure.type)
    if end.sent:
        return ParkCall(_unknown(failure, source))
    if kind is ErrorType.WORKER_LOST and not end.lost:  # it has said so itself
        return WorkerStopped()
    if kind is ErrorType.BUDGET_RESERVED:
        return MoneyReserved()
    if kind in (ErrorType.BUDGET_EXHAUSTED, ErrorType.ACCOUNT_DISABLED):
        return NoMoney(failure)
    if kind in NEVER_RUN:
        return ParkCall(_named(failure, source))
    if kind is ErrorType.TOOL_TIMEOUT and not end.lost:
        return TellModel(failure.message)
    if rounds < ROUNDS and (end.lost or effects is Effects.ONCE):  # else Temporal has tried again
        return Again()
    return ParkCall(_named(failure, source))


def _named(failure: Failure, source: str) -> Failure:
    return failure.model_copy(update={"message": _of_source(failure.message, source)})


def _unknown(failure: Failure, source: str) -> Failure:
    message = cut(f"{source} may have run: {failure.message}", 2_000)
    if failure.type == ErrorType.EFFECT_UNKNOWN:
        message = _of_source(failure.message, source)
    return Failure(type=ErrorType.EFFECT_UNKNOWN, message=message)


def _of_source(message: str, source: str) -> str:
    """What an activity says of itself begins with the tool already."""
    named = f"{source}: "
    return cut(message if message.startswith(named) else f"{named}{message}", 2_000)
