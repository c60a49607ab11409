"""Translates an activity's error into contracts: the failure, and its known cost."""

import asyncio
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    FailureError,
    TimeoutError,
    TimeoutType,
    is_cancelled_exception,
)

from durable_agent_team.contracts.call import AttemptSpend
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.run import Failure
from durable_agent_team.rules.value_limits import MESSAGE, value_problem
from workflows.task_exceptions import TaskFailed

M = TypeVar("M", bound=BaseModel)
KINDS = frozenset(each.value for each in ErrorType)


def failure_and_spend(error: BaseException) -> tuple[Failure, AttemptSpend]:
    """The failure, and the spend that its details carry."""
    cause = error.__cause__ if isinstance(error, ActivityError) else error
    unknown = AttemptSpend(attempts=0)
    if isinstance(cause, ApplicationError):
        return _from_application_error(cause)
    if was_lost(error):
        message = "no worker reported in time that it still has the call (timeout: heartbeat)"
        return Failure(type=ErrorType.WORKER_LOST, message=message), unknown
    if isinstance(cause, TimeoutError):
        kind = cause.type.name.lower().replace("_", "-") if cause.type else "unknown"
        message = f"the attempt did not end in time (timeout: {kind})"
        return Failure(type=ErrorType.UPSTREAM_TIMEOUT, message=message), unknown
    return Failure(type=ErrorType.INTERNAL, message=str(cause or error)[:2000]), unknown


def was_lost(error: BaseException) -> bool:
    """Whether the worker died, or was too busy to send a heartbeat. The activity may have run."""
    cause = error.__cause__ if isinstance(error, ActivityError) else error
    return isinstance(cause, TimeoutError) and cause.type is TimeoutType.HEARTBEAT


def is_final(error: FailureError) -> bool:
    """Whether the activity's own error says that another attempt cannot help."""
    cause = error.__cause__ if isinstance(error, ActivityError) else error
    return isinstance(cause, ApplicationError) and cause.non_retryable


def _from_application_error(error: ApplicationError) -> tuple[Failure, AttemptSpend]:
    spend = details_as(AttemptSpend, error) or AttemptSpend(attempts=0)
    failure = Failure(
        type=error.type if error.type in KINDS else ErrorType.INTERNAL,
        message=error.message[:2000],
        required_usd=spend.required_usd,
        remaining_usd=spend.remaining_usd,
        **({} if spend.upstream is None else {"upstream": spend.upstream}),
        **({} if spend.effect is None else {"effect": spend.effect}),
        **({} if spend.remote_task is None else {"remote_task": spend.remote_task}),
    )
    return failure, spend


def details_as(model: type[M], error: ApplicationError) -> M | None:
    """What an activity of ours has put into the details of its error. None where they are not ours:
    a person can fail an activity with any details, by `temporal activity fail`."""
    if error.type not in KINDS or not error.details or not isinstance(error.details[0], dict):
        return None
    if value_problem(error.details[0], MESSAGE) is not None:
        return None
    try:
        return model.model_validate(error.details[0])
    except ValidationError:
        return None


def run_failure(error: FailureError) -> BaseException:
    """What to raise where the run cannot continue without this activity."""
    if is_cancelled_exception(error):
        return asyncio.CancelledError()
    return TaskFailed(failure_and_spend(error)[0])


def refused(problem: str) -> ApplicationError:
    """The error that a refused update or query returns; the run itself continues."""
    return ApplicationError(problem, type=ErrorType.INVALID_INPUT, non_retryable=True)
