"""Limits how many activity results are on their way to the server at the same time.

A server applies the updates of one run one after another. If a hundred calls end in one moment, the
completion of the workflow task for the first of them waits behind the results of all others. Once a
hundred events have been buffered, the server rejects that completion (`ForceCloseCommand`), and the
run is replayed. See docs/adr/025.
"""

import asyncio
from typing import Final

from temporalio import activity
from temporalio.bridge.proto import ActivityTaskCompletion
from temporalio.worker import Worker

MAX_IN_FLIGHT: Final = 16
"""At most so many results are ahead of a workflow task completion in the queue of its run. To a
server that is 50 ms away this allows 320 results a second."""
WAIT_SECONDS: Final = 0.5
"""How long a result waits for its turn if its activity has no heartbeat timeout."""


def throttle_results(worker: Worker) -> None:
    """Keeps `MAX_IN_FLIGHT` results of this worker in flight, plus those that waited too long."""
    # The SDK sends every result at once; there is no public hook between it and the server.
    bridge = worker._bridge_worker
    complete = bridge.complete_activity_task
    slots = asyncio.Semaphore(MAX_IN_FLIGHT)

    async def throttled(comp: ActivityTaskCompletion) -> None:
        if activity.in_activity() and activity.info().is_local:  # stays in this process
            await complete(comp)
            return
        try:
            async with asyncio.timeout(_max_wait_seconds()):
                await slots.acquire()
        except TimeoutError:
            await complete(comp)
            return
        try:
            await complete(comp)
        finally:
            slots.release()

    bridge.complete_activity_task = throttled  # type: ignore[method-assign]


def _max_wait_seconds() -> float:
    """Half of the heartbeat timeout. An activity that has returned sends no more heartbeats, and
    its last one may be a third of the timeout old: the result has to arrive before the server
    declares the activity timed out."""
    if not activity.in_activity():
        return WAIT_SECONDS
    timeout = activity.info().heartbeat_timeout
    return timeout.total_seconds() / 2 if timeout else WAIT_SECONDS
