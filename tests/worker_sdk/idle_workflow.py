"""A small workflow for `test_idle_eviction.py`: it runs an activity, then waits for a signal."""

import asyncio
from datetime import timedelta

from temporalio import activity, workflow


@activity.defn
async def work(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "done"


@workflow.defn
class Waits:
    def __init__(self) -> None:
        self.words: list[str] = []
        self.steps: list[str] = []

    @workflow.run
    async def run(self, seconds: float) -> list[str]:
        for _ in range(2):
            self.steps.append(
                await workflow.execute_activity(
                    work, seconds, start_to_close_timeout=timedelta(seconds=20)
                )
            )
            await workflow.wait_condition(lambda: bool(self.words))
            self.steps.append(self.words.pop(0))
        return self.steps

    @workflow.signal
    def tell(self, word: str) -> None:
        self.words.append(word)

    @workflow.query
    def look(self) -> int:
        return len(self.steps)
