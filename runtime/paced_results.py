"""Results of activities go to the server some at a time, so that the workflow's own answers get in.

A server carries out the changes of one run one after another. Of a hundred calls that end in one
moment the workflow task of the first would wait behind the results of all others; and from a
hundred events on that come meanwhile, the server throws that task's answer away
(`ForceCloseCommand`), and the run is replayed. docs/adr/025.
"""

import asyncio
from typing import Final

from temporalio.bridge.proto import ActivityTaskCompletion
from temporalio.worker import Worker

AT_ONCE: Final = 16
"""What may be before a workflow's answer in the queue of its run. To a server that is 50 ms away
these are 320 results a second."""


def pace_results(worker: Worker, at_once: int = AT_ONCE) -> None:
    """From here on at most `at_once` results of this worker are on their way."""
    # The SDK hands on every result at once; there is no public place between it and the server.
    bridge = worker._bridge_worker
    complete = bridge.complete_activity_task
    places = asyncio.Semaphore(at_once)

    async def paced(completion: ActivityTaskCompletion) -> None:
        async with places:
            await complete(completion)

    bridge.complete_activity_task = paced  # type: ignore[method-assign]
