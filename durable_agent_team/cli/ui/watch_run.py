"""Watching a run: a long poll of its history reports changes, then `state` is queried.

A worker that dies leaves no event in the history. So after some seconds without an event, the
tasks that no worker has taken are read from Temporal, which needs no worker and leaves no trace in
the history. If there are new ones `state` is queried too: a worker that does not answer is gone.
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
"""Between two queries: a viewer must not load the worker."""
RETRY_SECONDS = 2.0
QUIET_SECONDS = 3.0
"""Without an event; the calls of a dead worker are untaken after two or three."""
NO_WORKER = "no worker answers; waiting for one"
NO_SERVICE = "Temporal does not answer; waiting for it"
PATIENCE_SECONDS = 60.0
"""After this long without an answer from Temporal, watching ends."""


@dataclass(frozen=True)
class Snapshot:
    """The last known state of a run; `trouble` while Temporal or the worker does not answer."""

    state: RunState | None = None
    spend: SpendReport | None = None
    trouble: str | None = None


async def watch_run(run: RunHandle, *, with_spend: bool) -> AsyncIterator[Snapshot]:
    """Yields a snapshot when something changed, at most once a second, until the run ends.

    During a restart of the worker or of Temporal a snapshot has `trouble`. Raises
    `ServiceUnavailable` when Temporal does not come back, `RunNotFound` at once.
    """
    changed = asyncio.Event()
    history = asyncio.create_task(_watch_history(run, changed))
    seen, known = Snapshot(), set[str]()
    try:
        while not history.done():
            await _until(history, changed.wait(), RETRY_SECONDS if seen.trouble else QUIET_SECONDS)
            must_read = changed.is_set() or seen.trouble
            read = _read_state if must_read else partial(_read_if_untaken, known)
            changed.clear()
            new = await _until(history, read(run, seen, with_spend))
            if new is None:
                continue
            seen = new
            yield seen
            await asyncio.wait([history], timeout=INTERVAL_SECONDS)
        await history
    finally:
        history.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await history


async def _watch_history(run: RunHandle, changed: asyncio.Event) -> None:
    """Sets `changed` with every change, until the run ends or the service stays silent."""
    loop = asyncio.get_running_loop()
    last = loop.time()
    while True:
        try:
            async for _ in run.changes():
                last = loop.time()
                changed.set()
            return
        except ServiceUnavailable as error:
            if error.final or loop.time() - last > PATIENCE_SECONDS:
                raise
            changed.set()
            await asyncio.sleep(RETRY_SECONDS)


async def _read_state(run: RunHandle, before: Snapshot, with_spend: bool) -> Snapshot:
    try:
        state = await run.whole_state()
        return Snapshot(state, await run.spend() if with_spend else None)
    except NoWorker:
        return replace(before, trouble=NO_WORKER)
    except ServiceUnavailable:
        return replace(before, trouble=NO_SERVICE)


async def _read_if_untaken(
    known: set[str], run: RunHandle, before: Snapshot, with_spend: bool
) -> Snapshot | None:
    """Reads the state if tasks that are not in `known` wait for a worker; else None."""
    try:
        untaken = await run.not_taken()
    except ServiceUnavailable:
        return replace(before, trouble=NO_SERVICE)
    if untaken <= known:
        return None
    known |= untaken
    return await _read_state(run, before, with_spend)


async def _until(
    history: "asyncio.Task[None]", work: Coroutine[Any, Any, T], timeout: float | None = None
) -> T | None:
    """The result of `work`; None if the run ends, or the timeout passes, before."""
    task = asyncio.create_task(work)
    try:
        await asyncio.wait([history, task], timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        task.cancel()
