"""Workflows that do what none may: by themselves, and through a helper."""

import time

from temporalio import workflow

from tests.architecture.clock_helper import seconds


@workflow.defn
class ReadsTheClock:
    @workflow.run
    async def run(self) -> float:
        return time.time()


@workflow.defn
class HasTheClockRead:
    @workflow.run
    async def run(self) -> float:
        return seconds()
