"""The one place where HTTP, ATXP and sealing errors become `ApplicationError`.

`contracts.error_types.ERRORS` decides what is retried; only Temporal retries.
"""

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.heartbeats import NotConfirmed
from activities.judging.exceptions import InvalidSchema
from activities.programs.exceptions import ProgramError
from durable_agent_team.atxp.exceptions import (
    LimitRefused,
    MalformedAnswer,
    ProtocolBroken,
    ProviderRefused,
    SealingKeyMismatch,
    TimedOut,
    Unreachable,
    error_fields,
)
from durable_agent_team.blobs.store import BlobMissing, BlobsUnreachable
from durable_agent_team.contracts.base import MAX_USD, round_up
from durable_agent_team.contracts.call import AttemptSpend
from durable_agent_team.contracts.error_types import ERRORS, ErrorType, Outcome
from durable_agent_team.providers.context_exceeded import says_context_exceeded
from durable_agent_team.providers.error_body import error_of
from durable_agent_team.providers.error_kind import (
    OUT_OF_FUNDS_CODE,
    ErrorKind,
    provider_error,
)
from durable_agent_team.providers.waits import wait_seconds

MAX_RETRY_AFTER = timedelta(seconds=30)
"""The cap on `Retry-After` where the activity has no retry policy with a `max_seconds`."""
QUICK = timedelta(seconds=5)
"""An activity holds a slot while it pauses between two attempts. When the server asks for a longer
pause, the activity ends, and the workflow waits (docs/adr/034)."""
LONGEST_WAIT = timedelta(days=30)

BY_STATUS = {
    401: ErrorType.UNAUTHORIZED,
    403: ErrorType.FORBIDDEN,
    408: ErrorType.UPSTREAM_UNAVAILABLE,
    409: ErrorType.UPSTREAM_UNAVAILABLE,
    425: ErrorType.UPSTREAM_UNAVAILABLE,
    429: ErrorType.RATE_LIMITED,
    498: ErrorType.RATE_LIMITED,  # Groq's flex tier has no room
    499: ErrorType.UPSTREAM_UNAVAILABLE,  # the provider has cancelled the call
}
GATEWAY_LIMIT_CODES = {"upstream_timeout", "upstream_too_long", "limit_reached"}
"""Codes of our gateway, which reports with them what the call may have cost."""
OPERATOR_STATUSES = (401, 403, *range(300, 400))
"""With these an upstream refuses the gateway's operator, not the agent; a redirect says that it is
elsewhere."""
FORMAT_CODE = "upstream_format"
"""Our gateway's code for an upstream that answers in another API's format: its URL is wrong."""
COUNTED_CODES = {
    "upstream_broke_off",
    "upstream_timeout",
    "upstream_too_long",
    "malformed_upstream",
    "upstream_error",
}
"""The gateway's codes for calls that the upstream may have billed without an answer. The last is
that of an error which does not say what it is: waiting for an hour may be of no use."""

CARRIED = ("task", "stderr", "stderr_ref", "usage")
"""What is known of an attempt before it fails."""

BY_EXCEPTION: dict[type[Exception], ErrorType] = {
    TimedOut: ErrorType.UPSTREAM_TIMEOUT,
    Unreachable: ErrorType.UPSTREAM_UNAVAILABLE,
    MalformedAnswer: ErrorType.MALFORMED_ANSWER,
    LimitRefused: ErrorType.LIMIT_REFUSED,
    ProtocolBroken: ErrorType.PROVIDER_PROTOCOL,
    SealingKeyMismatch: ErrorType.SEALING_KEY_MISMATCH,
    InvalidSchema: ErrorType.BAD_REQUEST,
    BlobMissing: ErrorType.TEXT_UNAVAILABLE,
    BlobsUnreachable: ErrorType.TEXT_UNAVAILABLE,
    NotConfirmed: ErrorType.WORKER_LOST,
}


def error_type(error: Exception) -> ErrorType:
    """The type of a failure. For a 402 the body decides, since the status alone is ambiguous."""
    if isinstance(error, ProviderRefused):
        return _refusal_type(error)
    if isinstance(error, ProgramError):
        return error.kind
    return BY_EXCEPTION.get(type(error), ErrorType.INTERNAL)


def _refusal_type(refused: ProviderRefused) -> ErrorType:
    words = {refused.code, refused.kind}
    if refused.status == 402:
        return _payment_type(refused)
    if _wants_operators_money(refused):
        return ErrorType.UPSTREAM_OUT_OF_FUNDS
    if refused.code == FORMAT_CODE or _upstream_status(refused) in OPERATOR_STATUSES:
        return ErrorType.UPSTREAM_REFUSED
    if refused.status == 409 and "idempotency_conflict" in words:
        return ErrorType.KEY_CONFLICT
    if refused.status == 400 and "unpriced_model" in words:
        return ErrorType.UNPRICED_MODEL
    if says_context_exceeded(refused.status, error_of(refused.body)):
        return ErrorType.CONTEXT_EXCEEDED
    if refused.code in GATEWAY_LIMIT_CODES and "possibly_billed_usd" in refused.amounts:
        return ErrorType.GATEWAY_LIMIT
    if refused.status in BY_STATUS:
        return BY_STATUS[refused.status]
    return ErrorType.UPSTREAM_UNAVAILABLE if refused.status >= 500 else ErrorType.BAD_REQUEST


def _upstream_status(refused: ProviderRefused) -> int | None:
    """The upstream's own status, where a gateway reports it."""
    status = error_fields(refused.body).get("upstream_status")
    return status if isinstance(status, int) else None


def _wants_operators_money(refused: ProviderRefused) -> bool:
    """A 402 of the endpoint itself is about the agent's account; an upstream's is not."""
    if refused.code == OUT_OF_FUNDS_CODE or _upstream_status(refused) == 402:
        return True
    return provider_error(refused.status, refused.body).kind is ErrorKind.OUT_OF_FUNDS


def _asks_later(refused: ProviderRefused) -> bool:
    """Whether the gateway refused by itself, between two probes of an upstream out of funds."""
    return refused.code == OUT_OF_FUNDS_CODE and _upstream_status(refused) is None


def counts(error: Exception) -> bool:
    """Whether the attempt counts against `max_attempts`: it may have been billed, or the reason is
    not an outage or a rate limit."""
    if ERRORS[error_type(error)].outcome is not Outcome.OUTLASTED:
        return True
    return isinstance(error, ProviderRefused) and error.code in COUNTED_CODES


def _payment_type(refused: ProviderRefused) -> ErrorType:
    if refused.code == "account_disabled":
        return ErrorType.ACCOUNT_DISABLED
    if refused.restriction or refused.code != "budget_exhausted":
        return ErrorType.PAYMENT_REQUIRED
    amounts = refused.amounts
    required, remaining = amounts.get("required_usd"), amounts.get("remaining_usd")
    reserved = amounts.get("reserved_usd", Decimal(0))
    if required is None or remaining is None or not reserved:
        return ErrorType.BUDGET_EXHAUSTED
    waits = remaining + reserved >= required
    return ErrorType.BUDGET_RESERVED if waits else ErrorType.BUDGET_EXHAUSTED


def retry_delay(refused: ProviderRefused, cap: timedelta, now: datetime) -> timedelta | None:
    """How long the server asks to wait, capped; None where it does not say."""
    error = provider_error(refused.status, refused.body)
    seconds = wait_seconds(error.status, refused.headers, error.body, now)
    return None if seconds is None else min(timedelta(seconds=seconds), cap)


def attempt_spend(error: Exception, earlier: AttemptSpend) -> AttemptSpend:
    """What is known to be spent after this failed attempt, and the figures of a refusal."""
    spent = earlier.spent_usd
    if isinstance(error, MalformedAnswer | ProviderRefused):
        spent = round_up(spent + error.billed_usd)
    counted = (earlier.counted_attempts or 0) + counts(error)
    known: dict[str, object] = {
        "spent_usd": spent,
        "attempts": earlier.attempts,
        "counted_attempts": counted,
        **{name: each for name in CARRIED if (each := getattr(earlier, name))},
    }
    if isinstance(error, ProgramError):
        found = {"effect": error.effect, "remote_task": error.remote_task}
        known |= {name: each for name, each in found.items() if each is not None}
    if not isinstance(error, ProviderRefused):
        return AttemptSpend.model_validate(known)
    amounts = {
        name: round_up(min(error.amounts[name], MAX_USD))
        for name in ("required_usd", "remaining_usd")
        if name in error.amounts
    }
    upstream = error_fields(error.body).get("upstream")
    if isinstance(upstream, str) and upstream:
        known["upstream"] = upstream[:60]
    delay = retry_delay(error, LONGEST_WAIT, datetime.now(UTC))
    if delay is not None:
        known["retry_after_seconds"] = delay.total_seconds()
    return AttemptSpend.model_validate({**known, **amounts, "status": error.status})


def application_error(
    error: Exception, spend: AttemptSpend, cap: timedelta, *, workflow_waits: bool = False
) -> ApplicationError:
    """The error for Temporal. Its text contains no key: `atxp` has scrubbed it, and an
    unexpected error is named by its type only.

    With `workflow_waits` it ends the activity when the server asks for a longer pause than QUICK.
    """
    kind = error_type(error)
    message = str(error)
    if kind is ErrorType.INTERNAL:
        message = f"unexpected {type(error).__name__}; the worker's log has the trace"
    rule = ERRORS[kind]
    longest = LONGEST_WAIT if workflow_waits and rule.outcome is Outcome.OUTLASTED else cap
    delay = (
        retry_delay(error, longest, datetime.now(UTC))
        if isinstance(error, ProviderRefused)
        else None
    )
    repeated = (Outcome.RETRIED, Outcome.OUTLASTED, Outcome.PARKS)
    retried = rule.repeated and rule.outcome in repeated
    if kind is ErrorType.UPSTREAM_OUT_OF_FUNDS:
        retried = isinstance(error, ProviderRefused) and _asks_later(error)
    if isinstance(error, ProgramError) and error.final:
        retried = False
    is_long = rule.outcome is Outcome.OUTLASTED and delay is not None and delay > QUICK
    return ApplicationError(
        message,
        spend,
        type=kind.value,
        non_retryable=(workflow_waits and is_long) or not retried,
        next_retry_delay=delay if retried else None,
    )


@contextmanager
def translated(
    earlier: AttemptSpend,
    on_spend: Callable[[AttemptSpend], None] | None = None,
    *,
    workflow_waits: bool = False,
) -> Iterator[None]:
    """Everything raised inside leaves as an `ApplicationError` with an `AttemptSpend`.

    `on_spend` gets the amount spent so far and the attempts that count, for the next attempt.
    Causes are dropped, since Temporal would write their unscrubbed texts into the history.
    """
    try:
        yield
    except ApplicationError:
        raise
    except Exception as error:
        if error_type(error) is ErrorType.INTERNAL:
            frames = "".join(traceback.format_tb(error.__traceback__))
            activity.logger.error("unexpected %s\n%s", type(error).__name__, frames)
        spend = attempt_spend(error, earlier)
        if on_spend is not None and _has_grown(spend, earlier):
            on_spend(spend)
        raise application_error(error, spend, _cap(), workflow_waits=workflow_waits) from None


def _has_grown(spend: AttemptSpend, earlier: AttemptSpend) -> bool:
    counted = (earlier.counted_attempts or 0, spend.counted_attempts or 0)
    return spend.spent_usd != earlier.spent_usd or counted[0] != counted[1]


def _cap() -> timedelta:
    policy = activity.info().retry_policy
    longest = policy.maximum_interval if policy else None
    return longest or MAX_RETRY_AFTER
