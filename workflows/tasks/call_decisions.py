"""Decides what happens to a call that was refused, or whose agent has changed. Pure.

`PaidCalls` carries the decisions out.
"""

from dataclasses import dataclass
from datetime import datetime

from durable_agent_team.contracts.call import AttemptSpend, CallRequest
from durable_agent_team.contracts.error_types import ERRORS, ErrorType, Outcome
from durable_agent_team.contracts.model_catalog import ModelPrice
from durable_agent_team.contracts.run import Failure
from durable_agent_team.contracts.team import Caller, OnExhausted, OnFailure
from durable_agent_team.contracts.team import Retry as RetrySettings
from durable_agent_team.rules.bounds import affordable_tokens
from durable_agent_team.rules.programs import run_of
from workflows.state.call_trouble import CallTrouble


@dataclass(frozen=True)
class Retry:
    """Make the call again, with the agent's current settings; a new call if these change it."""


@dataclass(frozen=True)
class WaitForSettlement:
    """The account's money is reserved by other calls: make the call again when one has settled."""


@dataclass(frozen=True)
class Park:
    """Wait for a person, then make the same call again."""

    exhausted: bool = False
    """It is money that is missing."""


@dataclass(frozen=True)
class Smaller:
    """Make a new call with a shorter answer, which the account can pay."""

    max_tokens: int


@dataclass(frozen=True)
class Fallback:
    """The account is exhausted: make a new call to a cheaper model."""

    model: str


@dataclass(frozen=True)
class Skip:
    """The account is exhausted: end the task without an answer."""


@dataclass(frozen=True)
class Fail:
    """End the task as failed."""

    exhausted: bool = False


Decision = Retry | WaitForSettlement | Park | Smaller | Fallback | Skip | Fail


@dataclass(frozen=True)
class CallState:
    """What a decision depends on besides the failure, the agent's settings and the request."""

    price: ModelPrice | None
    """The price of the request's model."""
    waits_left: int
    """How often the call may still wait for a settlement."""
    body_changed: bool = False
    """The agent's settings have changed so that the request would have another body."""
    on_failure_decides: bool = True
    """False in a run that starts nothing new, and in one from before there was `on_failure`."""
    unsent_may_fail: bool = True
    """False in a run from before `on_failure` decided about calls that were never sent."""


def decide(
    failure: Failure | None, caller: Caller, request: CallRequest, state: CallState
) -> Decision:
    """`failure` is None where the call did not start, because its agent changed."""
    if failure is None:
        return Retry()
    if outcome_of(failure) in BY_ON_FAILURE:
        return _on_failure(caller, state)
    if not may_be_made_again(failure):
        return Fail()
    if state.body_changed:
        return Retry()
    if failure.type == ErrorType.BUDGET_RESERVED and state.waits_left:
        return WaitForSettlement()
    if outcome_of(failure) is Outcome.PARKS:
        return Fail() if may_fail_unsent(failure, caller) and state.unsent_may_fail else Park()
    if run_of(caller) is not None:  # it decides about the length of its own calls
        return _on_exhausted(caller, request)
    fits = affordable_tokens(request.max_tokens, state.price, failure)
    own = request.raised_from
    if own is not None and own < request.max_tokens:  # a repair can do without the room it got
        return Smaller(max(fits or own, own))
    if caller.min_tokens is not None and fits is not None and fits >= caller.min_tokens:
        return Smaller(fits)
    return _on_exhausted(caller, request)


NEVER_SENT = frozenset({ErrorType.SEALING_KEY_MISMATCH, ErrorType.TEXT_UNAVAILABLE})
"""The worker could not make the call. It was not billed, so `on_failure: fail` loses nothing."""


def may_fail_unsent(failure: Failure, caller: Caller) -> bool:
    """Whether the agent's `on_failure` fails a call that was never sent."""
    return failure.type in NEVER_SENT and caller.on_failure is OnFailure.FAIL


def _on_failure(caller: Caller, state: CallState) -> Decision:
    """The call was attempted for as long as the agent's settings allow."""
    if not state.on_failure_decides:
        return Fail()
    if state.body_changed:
        return Retry()
    return Park() if caller.on_failure is OnFailure.PARK else Fail()


def _on_exhausted(caller: Caller, request: CallRequest) -> Decision:
    if caller.on_exhausted is OnExhausted.FAIL:
        return Fail(exhausted=True)
    if caller.on_exhausted is OnExhausted.SKIP:
        return Skip()
    cheaper = caller.fallback_model
    if (
        caller.on_exhausted is OnExhausted.FALLBACK
        and cheaper is not None
        and cheaper != request.model
    ):
        return Fallback(cheaper)
    return Park(exhausted=True)


BY_ON_FAILURE = frozenset({Outcome.RETRIED, Outcome.OUTLASTED, Outcome.ON_FAILURE})
"""After the last attempt the agent's `on_failure` decides."""


def may_be_attempted_again(
    failure: Failure, retry: RetrySettings, trouble: CallTrouble, now: datetime, *, final: bool
) -> bool:
    """Whether the same call is attempted again by itself, now that it has failed. `final`: its
    activity says that it must not be."""
    if trouble.counted >= retry.max_attempts:
        return False
    if outcome_of(failure) is Outcome.OUTLASTED:
        return trouble.attempts < retry.max_attempts or now < trouble.until
    return outcome_of(failure) is Outcome.RETRIED and not final


def counted_attempts(failure: Failure, spend: AttemptSpend, at_once: int, *, replays: bool) -> int:
    """How many attempts of an activity that failed count against `max_attempts`. `at_once` is how
    many it could make, `replays` whether the provider stores the answers that it bills."""
    broke_off = failure.type == ErrorType.UPSTREAM_UNAVAILABLE and spend.status is None
    if broke_off and not replays:
        return spend.attempts or at_once
    if spend.counted_attempts is not None:
        return spend.counted_attempts
    return 0 if outcome_of(failure) is Outcome.OUTLASTED else spend.attempts or at_once


def may_have_been_billed(failure: Failure, spend: AttemptSpend) -> bool:
    """Whether an attempt that is made again may have been billed already."""
    if spend.counted_attempts or failure.type == ErrorType.WORKER_LOST:
        return True
    return failure.type in MAY_BE_BILLED and spend.status is None


MAY_BE_BILLED = frozenset(
    {
        ErrorType.UPSTREAM_TIMEOUT,
        ErrorType.GATEWAY_LIMIT,
        ErrorType.UPSTREAM_UNAVAILABLE,
        ErrorType.WORKER_LOST,
        ErrorType.MALFORMED_ANSWER,
        ErrorType.KEY_CONFLICT,
        ErrorType.INTERNAL,
        ErrorType.PROGRAM_FAILED,
        ErrorType.PROGRAM_TIMEOUT,
    }
)
"""After these the gateway may have charged for the call."""

NOT_BILLED = frozenset(
    {ErrorType.BUDGET_RESERVED, ErrorType.BUDGET_EXHAUSTED, ErrorType.UPSTREAM_OUT_OF_FUNDS}
)
"""A call that is refused like this has not been charged, and is not in flight at the gateway."""


@dataclass(frozen=True)
class FailedCall:
    """How a failed call is recorded in its agent's account."""

    withdrawn: bool
    """It was refused before it started, and may be made again: it does not count as failed."""
    may_be_billed: bool
    """The ledger has to be read to know what it cost."""


def record_of(failure: Failure, attempts: int) -> FailedCall:
    """`attempts`: those that the activity reports, with the last one. An earlier one may have been
    billed even where the last one was not."""
    if not may_be_made_again(failure):
        return FailedCall(False, failure.type in MAY_BE_BILLED or attempts > 1)
    if not ERRORS[ErrorType(failure.type)].repeated:
        return FailedCall(withdrawn=False, may_be_billed=True)
    parks = outcome_of(failure) is Outcome.PARKS
    return FailedCall(True, failure.type not in NOT_BILLED and (parks or attempts > 1))


def may_be_made_again(failure: Failure) -> bool:
    """Money or a person can help. Most of these calls were refused before they started."""
    return outcome_of(failure) in (Outcome.ON_EXHAUSTED, Outcome.WAITS, Outcome.PARKS)


def outcome_of(failure: Failure) -> Outcome:
    return ERRORS[ErrorType(failure.type)].outcome
