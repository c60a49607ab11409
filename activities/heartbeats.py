"""Background heartbeats, by which Temporal detects a dead worker and delivers cancellations."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from pydantic import ValidationError
from temporalio import activity

from durable_agent_team.contracts.call import AttemptSpend


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


def time_left(reserve: float) -> float:
    """Seconds for one exchange: the activity's timeout minus a margin of at most `reserve`, so that
    the exchange times out first, with a more precise error."""
    limit = activity.info().start_to_close_timeout or timedelta(minutes=10)
    seconds = limit.total_seconds()
    return seconds - min(reserve, seconds * 0.1)
