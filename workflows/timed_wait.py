"""Waits with a timeout, in the same steps on every version of Python.

The order of a run's commands follows from how many turns of the event loop each wait takes. In
Python 3.11 `asyncio.wait_for`, which `workflow.wait_condition` calls, takes two turns for what
comes true, and three for a timeout or a cancellation; since 3.12 it takes one. So a worker on a
newer Python could not replay the runs that one on 3.11 has begun, and the other way around.
"""

import asyncio
import sys
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from datetime import timedelta
from types import coroutine

from temporalio import workflow


async def wait_condition(
    condition: Callable[[], bool], *, timeout: timedelta | None, timeout_summary: str
) -> None:
    """Raises TimeoutError."""
    waiting = workflow.wait_condition(condition, timeout=timeout, timeout_summary=timeout_summary)
    if sys.version_info < (3, 12) or timeout is None or timeout <= timedelta(0):
        await waiting
    else:
        await in_steps_of_3_11(waiting)


@coroutine
def in_steps_of_3_11(
    waiting: Coroutine["asyncio.Future[None]", None, None],
) -> Generator["asyncio.Future[None] | None", None, None]:
    """Awaits what waits for one future in an `asyncio.timeout`. `yield None` is a turn."""
    future = waiting.send(None)
    try:
        yield future
    except asyncio.CancelledError as error:  # of the caller, or by the timeout
        if future.cancelled():
            cancelled = error
            try:
                yield None
                yield None
            except asyncio.CancelledError as again:
                cancelled = again
            waiting.throw(cancelled)
    with suppress(asyncio.CancelledError):  # 3.11 returns what came true before
        yield None
    with suppress(StopIteration):
        waiting.send(None)
