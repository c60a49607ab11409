"""The one place where failures of tools become `ApplicationError`s, with a `ToolFailure`.

Whether the tool may have run decides: what was never sent may be sent again, and what may have run
is for a person, unless the tool may be called twice.
"""

import traceback
from decimal import Decimal

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.error_translation import error_type
from activities.tools.exceptions import (
    ToolAsks,
    ToolChanged,
    ToolError,
    ToolTimedOut,
    ToolUnreachable,
)
from durable_agent_team.atxp.exceptions import ProviderRefused
from durable_agent_team.contracts.base import MAX_USD, round_up
from durable_agent_team.contracts.bounded_text import cut
from durable_agent_team.contracts.error_types import ERRORS, ErrorType, Outcome
from durable_agent_team.contracts.tool_call import ToolFailure
from durable_agent_team.contracts.tool_kinds import Effects
from durable_agent_team.rules.safe_text import one_line

MAX_MESSAGE = 1_500


def tool_error(
    error: Exception, source: str, effects: Effects, charged_usd: Decimal, *, sent: bool
) -> ApplicationError:
    """`sent`: the call had left when this error came, for errors that do not say it."""
    was_sent = error.sent if isinstance(error, ToolError) else sent
    kind = error_kind(error, effects, was_sent=was_sent)
    failure = ToolFailure(
        sent=was_sent,
        charged_usd=charged_usd,
        **({"demand": error.demand} if isinstance(error, ToolAsks) else {}),
        **(_amounts(error) if isinstance(error, ProviderRefused) else {}),
    )
    text = str(error)
    if not isinstance(error, ToolError) and error_type(error) is ErrorType.INTERNAL:
        frames = "".join(traceback.format_tb(error.__traceback__))
        activity.logger.error("unexpected %s\n%s", type(error).__name__, frames)
        text = f"unexpected {type(error).__name__}; the worker's log has the trace"
    if kind is ErrorType.EFFECT_UNKNOWN:
        text = f"it may have run: {text}"
    rule = ERRORS[kind]
    is_retried = rule.repeated and rule.outcome in (Outcome.RETRIED, Outcome.OUTLASTED)
    return ApplicationError(
        cut(one_line(f"{source}: {text}"), MAX_MESSAGE),
        failure,
        type=kind.value,
        non_retryable=effects is Effects.ONCE or not is_retried,
    )


def error_kind(error: Exception, effects: Effects, *, was_sent: bool) -> ErrorType:
    """The type of the error that a call ends with."""
    if isinstance(error, ToolAsks):
        return ErrorType.TOOL_ASKS
    if isinstance(error, ToolChanged):
        return ErrorType.TOOL_CHANGED
    if was_sent and effects is Effects.ONCE:
        return ErrorType.EFFECT_UNKNOWN
    if isinstance(error, ToolUnreachable):
        return ErrorType.TOOL_UNAVAILABLE if _parks(error, effects) else ErrorType.TOOL_FAILED
    if isinstance(error, ToolTimedOut):
        return ErrorType.TOOL_TIMEOUT
    return ErrorType.TOOL_FAILED if isinstance(error, ToolError) else error_type(error)


def _parks(error: ToolUnreachable, effects: Effects) -> bool:
    """Whether no attempt is left that could succeed. After a local one, regular ones follow."""
    info = activity.info()
    if info.is_local:
        return error.final
    policy = info.retry_policy
    limit = policy.maximum_attempts if policy else 0
    return error.final or effects is Effects.ONCE or 0 < limit <= info.attempt


def _amounts(refused: ProviderRefused) -> dict[str, Decimal]:
    return {
        name: round_up(min(refused.amounts[name], MAX_USD))
        for name in ("required_usd", "remaining_usd")
        if name in refused.amounts
    }
