"""Agent settings -> activity options: the one table of timeouts and retries."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TypedDict

from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType

from durable_agent_team.contracts.team import Caller
from durable_agent_team.contracts.tool_kinds import Effects, Tool
from durable_agent_team.rules.retry_pauses import quick_attempts


class ActivityOptions(TypedDict):
    start_to_close_timeout: timedelta
    heartbeat_timeout: timedelta | None
    retry_policy: RetryPolicy
    cancellation_type: ActivityCancellationType


def heartbeat_timeout(max_parallel: int) -> timedelta:
    """Short, so that a dead worker is noticed; longer in wide runs, where heartbeats cost.

    At 500 calls in flight a timeout of 2 s takes the server more than one core, one of 5 to 10 s
    less than half of one (measured). So it follows `max_parallel` (docs/adr/019) at the time when
    the call starts (docs/adr/023).
    """
    return timedelta(seconds=min(max(max_parallel / 75, 1.5), 10))


SHORTEST = timedelta(milliseconds=1)
"""Temporal takes a duration that rounds to nothing for one that is missing, and an activity without
a timeout fails its workflow task, forever."""


def _duration(seconds: float) -> timedelta:
    return max(timedelta(seconds=seconds), SHORTEST)


PATIENCE = (1, 4, 16)
"""Factors of the heartbeat timeout, for one round of attempts each. The next round follows when all
attempts of the agent's policy were lost: an overloaded machine must not fail a call that only waits
for it (docs/adr/021)."""


def call_options(
    caller: Caller, max_parallel: int, patience: int = 1, attempts: int | None = None
) -> ActivityOptions:
    """One call of an agent, with so many attempts at once, by default `quick_attempts`. A
    cancellation waits until the call has reported what it cost."""
    return {
        "start_to_close_timeout": _duration(caller.timeout_seconds),
        "heartbeat_timeout": heartbeat_timeout(max_parallel) * patience,
        "retry_policy": RetryPolicy(
            initial_interval=_duration(caller.retry.initial_seconds),
            backoff_coefficient=caller.retry.backoff,
            maximum_interval=_duration(max(caller.retry.max_seconds, caller.retry.initial_seconds)),
            maximum_attempts=attempts or quick_attempts(caller.retry),
        ),
        "cancellation_type": ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    }


PROGRAM_MARGIN = timedelta(seconds=60)
"""What a program's activity gets beyond the program's own time: to read its texts, to kill it, and
to report what it has cost."""


def program_options(
    caller: Caller, max_parallel: int, patience: int = 1, attempts: int | None = None
) -> ActivityOptions:
    """One execution of an agent that is a program."""
    options = call_options(caller, max_parallel, patience, attempts)
    seconds = options["start_to_close_timeout"] + PROGRAM_MARGIN
    return {**options, "start_to_close_timeout": seconds}


TOOL_MARGIN = timedelta(seconds=60)
"""What a tool's activity gets beyond the tool's own time: to connect to its server, and to store
the result. The activity itself ends a tool that takes too long."""


def tool_options(
    tool: Tool,
    effects: Effects,
    connect_seconds: float,
    max_parallel: int,
    patience: int = 1,
) -> ActivityOptions:
    """One call of a tool. With effects that happen `once`, it is attempted once: whether it may be
    made again is decided by what its heartbeats say."""
    attempts = 1 if effects is Effects.ONCE else tool.max_attempts
    seconds = timedelta(seconds=tool.timeout_seconds + connect_seconds)
    return {
        "start_to_close_timeout": seconds + TOOL_MARGIN,
        "heartbeat_timeout": heartbeat_timeout(max_parallel) * patience,
        "retry_policy": RetryPolicy(
            initial_interval=timedelta(milliseconds=500),
            backoff_coefficient=2,
            maximum_interval=timedelta(seconds=30),
            maximum_attempts=attempts,
        ),
        "cancellation_type": ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    }


def charge_options() -> ActivityOptions:
    """Ends the charge of a tool: repeated as long as an account activity."""
    return account_options(seconds=25)


def environment_options() -> ActivityOptions:
    """An environment with a gigabyte of packages may take half an hour. A worker that dies is
    noticed by its heartbeats; the next attempt continues."""
    return {
        "start_to_close_timeout": timedelta(hours=1),
        "heartbeat_timeout": timedelta(seconds=30),
        "retry_policy": RetryPolicy(
            initial_interval=timedelta(seconds=1),
            backoff_coefficient=2,
            maximum_interval=timedelta(seconds=30),
            maximum_attempts=3,
        ),
        "cancellation_type": ActivityCancellationType.TRY_CANCEL,
    }


RESERVED_ELSEWHERE = timedelta(seconds=5)
"""The pause before a call is attempted again whose account's money other calls have reserved."""


class BriefOptions(TypedDict):
    start_to_close_timeout: timedelta
    schedule_to_close_timeout: timedelta
    retry_policy: RetryPolicy
    cancellation_type: ActivityCancellationType


def local_options() -> BriefOptions:
    """Opening and closing accounts, before a regular activity takes over (docs/adr/031): far below
    the 8 s after which the SDK would have to keep the workflow task alive."""
    return {
        "start_to_close_timeout": timedelta(seconds=3),
        "schedule_to_close_timeout": timedelta(seconds=4),
        "retry_policy": RetryPolicy(
            initial_interval=timedelta(milliseconds=100), maximum_attempts=2
        ),
        "cancellation_type": ActivityCancellationType.TRY_CANCEL,
    }


def look_options() -> BriefOptions:
    """One attempt: a look at a ledger, which is followed by another one; or the first attempt of a
    quick tool, which a regular activity follows."""
    return {**local_options(), "retry_policy": RetryPolicy(maximum_attempts=1)}


def catalog_options(attempts: int | None = None) -> ActivityOptions:
    """Models and prices, when a local activity did not get them: by default, retried as long as the
    accounts."""
    options = account_options(seconds=15)
    policy = options["retry_policy"]
    if attempts is not None:
        policy = replace(policy, maximum_attempts=attempts)
    return {**options, "heartbeat_timeout": None, "retry_policy": policy}


ACCOUNTS_HEARTBEAT = timedelta(seconds=5)
"""So that a run does not wait for a whole timeout when the worker opening or closing its accounts
dies."""


def account_options(seconds: float = 60) -> ActivityOptions:
    """All account activities are idempotent, so they are retried through an outage of about 15
    minutes."""
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


REOPENING_ATTEMPTS = 16
"""Over two and a half minutes: the one who cancelled the run waits for it, and there may be no
account at all."""


def reopening_options() -> ActivityOptions:
    """To find the accounts of a run that was stopped before it knew them."""
    options = account_options()
    policy = replace(options["retry_policy"], maximum_attempts=REOPENING_ATTEMPTS)
    return {**options, "retry_policy": policy}


LISTING = timedelta(seconds=60)
"""To list an agent's tools, beyond the time that connecting to its servers may take."""

LISTING_HEARTBEAT = timedelta(seconds=10)
"""So that a task does not wait for all of that time when the worker that lists its tools dies; long
enough that a busy worker does not use up the attempts."""


def listing_options(connect_seconds: Sequence[float]) -> ActivityOptions:
    """What an agent's tools are: repeated, since it changes nothing. Then its task parks."""
    return {
        "start_to_close_timeout": LISTING + timedelta(seconds=sum(connect_seconds)),
        "heartbeat_timeout": LISTING_HEARTBEAT,
        "retry_policy": RetryPolicy(
            initial_interval=timedelta(milliseconds=500),
            backoff_coefficient=2,
            maximum_interval=timedelta(seconds=10),
            maximum_attempts=3,
        ),
        "cancellation_type": ActivityCancellationType.TRY_CANCEL,
    }


def output_check_options() -> ActivityOptions:
    """The check of a schema: the sender of `add_task` waits for it."""
    return {
        "start_to_close_timeout": timedelta(seconds=30),
        "heartbeat_timeout": None,
        "retry_policy": RetryPolicy(
            initial_interval=timedelta(milliseconds=200), maximum_attempts=3
        ),
        "cancellation_type": ActivityCancellationType.TRY_CANCEL,
    }


def notification_options() -> ActivityOptions:
    """A notification to a person: retried for a few minutes."""
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


def ending_notification_options() -> ActivityOptions:
    """A notification of the run's end: the run ends after it, so it is tried for half a minute."""
    options = notification_options()
    return {
        **options,
        "start_to_close_timeout": timedelta(seconds=6),
        "retry_policy": replace(options["retry_policy"], maximum_attempts=4),
    }
