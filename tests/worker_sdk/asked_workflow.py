"""A small workflow for `test_waiting_queries.py`: it is asked while a local activity ends."""

import threading
import time
from datetime import timedelta

from temporalio import activity, workflow

BEING_ASKED = threading.Event()
"""Set while the query's handler runs."""


@activity.defn
def ends_while_asked() -> None:
    """Ends while a query is being answered; where none is asked in this time, by itself."""
    BEING_ASKED.wait(0.5)


@workflow.defn
class Asked:
    """Does something locally once it is told to, and then something new."""

    def __init__(self) -> None:
        self._told = False

    @workflow.signal
    def tell(self) -> None:
        self._told = True

    @workflow.query
    def look(self) -> int:
        BEING_ASKED.set()
        time.sleep(0.4)  # longer than the result takes to the SDK's core
        return 1

    @workflow.run
    async def run(self) -> bool:
        await workflow.wait_condition(lambda: self._told)
        await workflow.execute_local_activity(
            ends_while_asked, start_to_close_timeout=timedelta(seconds=5)
        )
        return workflow.patched("something-new")
