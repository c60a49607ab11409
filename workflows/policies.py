"""Agent settings -> activity options: the one table of timeouts and retries."""

from dataclasses import replace
from datetime import timedelta
from typing import TypedDict

from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType

from durable_agent_team.contracts.team import Caller


class ActivityOptions(TypedDict):
    start_to_close_timeout: timedelta
    heartbeat_timeout: timedelta | None
    retry_policy: RetryPolicy
    cancellation_type: ActivityCancellationType


def heartbeat_timeout(max_parallel: int) -> timedelta:
    """Short, so that a dead worker is noticed; longer in wide runs, where heartbeats cost.

    At 500 calls in flight a timeout of 2 s takes the server more than one core, one of 5 to 10 s
    less than half of one (measured), so it follows the window (docs/adr/019), as it is when the
    call starts (docs/adr/023).
    """
    return timedelta(seconds=min(max(max_parallel / 75, 1.5), 10))


PATIENCE = (1, 4, 16)
"""Times the heartbeat timeout, each after all attempts of an agent's policy were lost: a machine
that has too much to do must not fail what only waits for it (docs/adr/021)."""


def call_options(caller: Caller, max_parallel: int, patience: int = 1) -> ActivityOptions:
    """One call of an agent. Cancellation waits for what the call has to say about its money."""
    return {
        "start_to_close_timeout": timedelta(seconds=caller.timeout_seconds),
        "heartbeat_timeout": heartbeat_timeout(max_parallel) * patience,
        "retry_policy": RetryPolicy(
            initial_interval=timedelta(seconds=caller.retry.initial_seconds),
            backoff_coefficient=caller.retry.backoff,
            maximum_interval=timedelta(
                seconds=max(caller.retry.max_seconds, caller.retry.initial_seconds)
            ),
            maximum_attempts=caller.retry.max_attempts,
        ),
        "cancellation_type": ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    }


class LocalOptions(TypedDict):
    start_to_close_timeout: timedelta
    retry_policy: RetryPolicy


def catalog_options() -> LocalOptions:
    """Models and prices: worth the same patience as the accounts."""
    options = account_options(seconds=15)
    return {
        "start_to_close_timeout": options["start_to_close_timeout"],
        "retry_policy": options["retry_policy"],
    }


ACCOUNTS_HEARTBEAT = timedelta(seconds=5)
"""A run must not stand for a whole timeout because the worker died that opened or closed."""


def account_options(seconds: float = 60) -> ActivityOptions:
    """Everything about accounts is idempotent, so it outlasts an outage of some 15 minutes."""
    return {
        "start_to_close_timeout": timedelta(seconds=seconds),
        "heartbeat_timeout": ACCOUNTS_HEARTBEAT,
        "retry_policy": RetryPolicy(
            initial_interval=timedelta(milliseconds=200),
            backoff_coefficient=2,
            maximum_interval=timedelta(seconds=15),
            maximum_attempts=60,
        ),
        "cancellation_type": ActivityCancellationType.TRY_CANCEL,
    }


def finding_options() -> ActivityOptions:
    """Half a minute of trying: whoever cancels a run waits for it, and there may be no account."""
    options = account_options()
    return {**options, "retry_policy": replace(options["retry_policy"], maximum_attempts=8)}


def notification_options() -> ActivityOptions:
    """Word to a person: worth some minutes of trying, and no more."""
    return {
        "start_to_close_timeout": timedelta(seconds=15),
        "heartbeat_timeout": None,
        "retry_policy": RetryPolicy(
            initial_interval=timedelta(seconds=1),
            backoff_coefficient=2,
            maximum_interval=timedelta(seconds=60),
            maximum_attempts=8,
        ),
        "cancellation_type": ActivityCancellationType.TRY_CANCEL,
    }
