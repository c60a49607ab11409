"""Background heartbeats, by which Temporal detects a dead worker and delivers cancellations; and
heartbeats by which an attempt learns whether it still counts."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Final

from pydantic import ValidationError
from temporalio import activity
from temporalio.client import AsyncActivityCancelledError
from temporalio.service import RPCError

from durable_agent_team.contracts.call import AttemptSpend

CONFIRM_SECONDS: Final = 20.0


class NotConfirmed(Exception):
    """Temporal has given up this attempt, or has not answered; another one may be under way."""

    def __init__(self, message: str, *, is_cancelled: bool = False) -> None:
        """`is_cancelled`: the attempt counts, and its workflow wants it to end."""
        super().__init__(message)
        self.is_cancelled = is_cancelled


def earlier_spend(task: str | None = None) -> AttemptSpend:
    """What earlier attempts of this activity are known to have cost, and how many of them count:
    from their last heartbeat. `task` is the one that the activity works for."""
    info = activity.info()
    earlier = AttemptSpend()
    for detail in info.heartbeat_details[:1]:
        with suppress(ValidationError):
            earlier = AttemptSpend.model_validate(detail)
    return AttemptSpend(
        spent_usd=earlier.spent_usd,
        attempts=info.attempt,
        counted_attempts=earlier.counted_attempts or 0,
        task=task,
    )


@asynccontextmanager
async def heartbeating(*details: object) -> AsyncIterator[None]:
    """While the body runs, sends heartbeats with these details, at a third of their timeout."""
    async with heartbeating_with(lambda: details):
        yield


@asynccontextmanager
async def heartbeating_with(details: Callable[[], Iterable[object]]) -> AsyncIterator[None]:
    """As `heartbeating`, with details that change while the body runs."""
    timeout = activity.info().heartbeat_timeout
    if not timeout:
        yield
        return
    beats = asyncio.create_task(_beat(timeout.total_seconds() / 3, details))
    try:
        yield
    finally:
        beats.cancel()


async def _beat(every_seconds: float, details: Callable[[], Iterable[object]]) -> None:
    while True:
        # Sleep first: a short call then needs no heartbeat, and the details of an earlier attempt's
        # last heartbeat are kept until the next one.
        await asyncio.sleep(every_seconds)
        activity.heartbeat(*details())


async def confirm_attempt(*details: object) -> None:
    """Makes a heartbeat through the server and waits for its answer: before a request that must not
    come from an attempt that was given up. Raises `NotConfirmed`.

    An answer that took as long as the heartbeat timeout says nothing about now: this process may
    have stood still, and Temporal have given the attempt up since. So it is asked for again.
    """
    info = activity.info()
    if info.is_local:  # the server knows nothing of it
        return
    handle = activity.client().get_async_activity_handle(task_token=info.task_token)
    limit = (info.heartbeat_timeout or timedelta(seconds=CONFIRM_SECONDS)).total_seconds()
    try:
        async with asyncio.timeout(CONFIRM_SECONDS):
            while True:
                # Over a suspend, the one clock stands still; the other one can be set.
                steady, wall = time.monotonic(), time.time()
                await handle.heartbeat(*details)
                if max(time.monotonic() - steady, time.time() - wall) < limit:
                    return
    except AsyncActivityCancelledError:
        raise NotConfirmed("the attempt was cancelled", is_cancelled=True) from None
    except (RPCError, TimeoutError) as error:
        raise NotConfirmed(
            f"Temporal has not confirmed this attempt ({type(error).__name__}): nothing was sent"
        ) from None


def time_left(reserve: float) -> float:
    """Seconds for one exchange: the activity's timeout minus a margin of at most `reserve`, so that
    the exchange times out first, with a more precise error."""
    limit = activity.info().start_to_close_timeout or timedelta(minutes=10)
    seconds = limit.total_seconds()
    return seconds - min(reserve, seconds * 0.1)
