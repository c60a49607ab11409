"""What a viewer sees of a run: the history's long poll is the clock, and `state` is asked when
it ticks.

A worker that dies leaves no event. So where nothing has happened for a while, Temporal is asked
what waits to be taken, which needs no worker and leaves no trace in the history. Something new
there is one more reason to ask for `state`, and a worker that does not answer then is gone.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from durable_agent_team.client.connection import ServiceUnavailable
from durable_agent_team.client.exceptions import NoWorker
from durable_agent_team.client.runs import RunHandle
from durable_agent_team.contracts.run import RunState
from durable_agent_team.contracts.spend import SpendReport

T = TypeVar("T")

INTERVAL_SECONDS = 1.0
"""Between two queries: a viewer must not be a burden."""
RETRY_SECONDS = 2.0
QUIET_SECONDS = 3.0
"""Without an event; a dead worker's calls wait again after two or three."""
NO_WORKER = "no worker answers; waiting for one"
NO_SERVICE = "Temporal does not answer; waiting for it"
PATIENCE_SECONDS = 60.0
"""How long the service may be silent before following gives up."""


@dataclass(frozen=True)
class Snapshot:
    """What a viewer knows at a moment; `trouble` while nobody answers."""

    state: RunState | None = None
    spend: SpendReport | None = None
    trouble: str | None = None


async def watch_run(run: RunHandle, *, with_spend: bool) -> AsyncIterator[Snapshot]:
    """What there is to see, at most once a second and only when something happened.

    Ends with the run. Across a worker's or the service's restart it says that it waits; raises
    `ServiceUnavailable` when the service stays away, `RunNotFound` at once.
    """
    happened = asyncio.Event()
    clock = asyncio.create_task(_watch_history(run, happened))
    seen, known = Snapshot(), set[str]()
    try:
        while not clock.done():
            await _until(clock, happened.wait(), RETRY_SECONDS if seen.trouble else QUIET_SECONDS)
            look = _look if happened.is_set() or seen.trouble else partial(_look_around, known)
            happened.clear()
            looked = await _until(clock, look(run, seen, with_spend))
            if looked is None:
                continue
            seen = looked
            yield seen
            await asyncio.wait([clock], timeout=INTERVAL_SECONDS)
        await clock
    finally:
        clock.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await clock


async def _watch_history(run: RunHandle, happened: asyncio.Event) -> None:
    """Sets `happened` with every change, until the run ends or the service stays silent."""
    loop = asyncio.get_running_loop()
    last = loop.time()
    while True:
        try:
            async for _ in run.changes():
                last = loop.time()
                happened.set()
            return
        except ServiceUnavailable as error:
            if error.final or loop.time() - last > PATIENCE_SECONDS:
                raise
            happened.set()
            await asyncio.sleep(RETRY_SECONDS)


async def _look(run: RunHandle, before: Snapshot, with_spend: bool) -> Snapshot:
    try:
        state = await run.whole_state()
        return Snapshot(state, await run.spend() if with_spend else None)
    except NoWorker:
        return replace(before, trouble=NO_WORKER)
    except ServiceUnavailable:
        return replace(before, trouble=NO_SERVICE)


async def _look_around(
    known: set[str], run: RunHandle, before: Snapshot, with_spend: bool
) -> Snapshot | None:
    """A look only where something waits for a worker, and is not known to; else None."""
    try:
        waits = await run.not_taken()
    except ServiceUnavailable:
        return replace(before, trouble=NO_SERVICE)
    if waits <= known:
        return None
    known |= waits
    return await _look(run, before, with_spend)


async def _until(
    clock: "asyncio.Task[None]", work: Coroutine[Any, Any, T], timeout: float | None = None
) -> T | None:
    """The work's outcome; None if the run ended, or the time was over, before it had one."""
    task = asyncio.create_task(work)
    try:
        await asyncio.wait([clock, task], timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        task.cancel()
