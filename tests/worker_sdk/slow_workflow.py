"""A workflow for `test_deadlock_timeout.py`, whose code takes long without yielding."""

import time

from temporalio import workflow


@workflow.defn(sandboxed=False)
class TakesLong:
    @workflow.run
    async def run(self, seconds: float) -> str:
        time.sleep(seconds)  # noqa: ASYNC251 (a computation)
        return "done"
