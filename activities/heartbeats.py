"""Heartbeats from the background: a dead worker is noticed, and a cancellation arrives."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from decimal import Decimal

from pydantic import ValidationError
from temporalio import activity

from durable_agent_team.contracts.call import AttemptSpend


def earlier_spend() -> AttemptSpend:
    """What earlier attempts of this activity are known to have cost: from their last heartbeat."""
    info = activity.info()
    spent = Decimal(0)
    for detail in info.heartbeat_details[:1]:
        with suppress(ValidationError):
            spent = AttemptSpend.model_validate(detail).spent_usd
    return AttemptSpend(spent_usd=spent, attempts=info.attempt)


@asynccontextmanager
async def heartbeating(*details: object) -> AsyncIterator[None]:
    """Beats at a third of the heartbeat timeout while the body runs, with these details."""
    timeout = activity.info().heartbeat_timeout
    if not timeout:
        yield
        return
    beats = asyncio.create_task(_beat(timeout.total_seconds() / 3, *details))
    try:
        yield
    finally:
        beats.cancel()


async def _beat(every_seconds: float, *details: object) -> None:
    while True:
        # Sleep first: a call that is over by then costs the server no heartbeat at all, and what
        # an earlier attempt's last one said is kept until the next.
        await asyncio.sleep(every_seconds)
        activity.heartbeat(*details)


def time_left(reserve: float) -> float:
    """Seconds for one exchange: the activity's own timeout less a margin, so that the exchange
    ends first, with an error that says more. `reserve` is that margin at most."""
    limit = activity.info().start_to_close_timeout or timedelta(minutes=10)
    seconds = limit.total_seconds()
    return seconds - min(reserve, seconds * 0.1)
