"""Results of activities go to the server some at a time, so that the workflow's own answers get in.

A server carries out the changes of one run one after another. Of a hundred calls that end in one
moment the workflow task of the first would wait behind the results of all others; and from a
hundred events on that come meanwhile, the server throws that task's answer away
(`ForceCloseCommand`), and the run is replayed. docs/adr/025.
"""

import asyncio
from typing import Final

from temporalio import activity
from temporalio.bridge.proto import ActivityTaskCompletion
from temporalio.worker import Worker

AT_ONCE: Final = 16
"""What may be before a workflow's answer in the queue of its run. To a server that is 50 ms away
these are 320 results a second."""
WAIT_SECONDS: Final = 0.5
"""How long a result waits for its place where its activity needs no heartbeat."""


def throttle_results(worker: Worker) -> None:
    """From here on `AT_ONCE` of its results are on their way, and those that have waited long."""
    # The SDK hands on every result at once; there is no public place between it and the server.
    bridge = worker._bridge_worker
    complete = bridge.complete_activity_task
    places = asyncio.Semaphore(AT_ONCE)

    async def paced(comp: ActivityTaskCompletion) -> None:
        if activity.in_activity() and activity.info().is_local:  # it stays in this process
            await complete(comp)
            return
        try:
            async with asyncio.timeout(_patience_seconds()):
                await places.acquire()
        except TimeoutError:
            await complete(comp)
            return
        try:
            await complete(comp)
        finally:
            places.release()

    bridge.complete_activity_task = paced  # type: ignore[method-assign]


def _patience_seconds() -> float:
    """A call that is over gives no heartbeat any more, and its last one may be a third of the
    heartbeat timeout ago: its result has to be heard of before it is taken for lost."""
    if not activity.in_activity():
        return WAIT_SECONDS
    beat = activity.info().heartbeat_timeout
    return beat.total_seconds() / 2 if beat else WAIT_SECONDS
