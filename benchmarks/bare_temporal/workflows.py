"""Workflows that only schedule: no accounts, checks, large texts, heartbeats or state to query."""

import asyncio
from datetime import timedelta
from typing import Final

from temporalio import workflow

TASK_QUEUE: Final = "bare-temporal"
CALL, TOOL = "bare_call", "bare_tool"
UPSTREAM: Final = "BARE_TEMPORAL_UPSTREAM"
"""The environment variable with the base URL of the model that the worker calls."""
LIMIT: Final = timedelta(seconds=60)


@workflow.defn
class BareFan:
    """A plan, parallel calls and a synthesis: one activity each."""

    @workflow.run
    async def run(self, calls: int, latency_ms: int) -> str:
        await self._call(latency_ms)
        await asyncio.gather(*(self._call(latency_ms) for _ in range(calls)))
        return await self._call(latency_ms)

    async def _call(self, latency_ms: int) -> str:
        answer: str = await workflow.execute_activity(
            CALL, latency_ms, start_to_close_timeout=LIMIT, result_type=str
        )
        return answer


@workflow.defn
class BareTurns:
    """A call and a tool, again and again. `local_tools`: the tool is a local activity."""

    @workflow.run
    async def run(self, turns: int, local_tools: bool) -> None:
        for _ in range(turns):
            await workflow.execute_activity(CALL, 0, start_to_close_timeout=LIMIT, result_type=str)
            execute = workflow.execute_local_activity if local_tools else workflow.execute_activity
            await execute(TOOL, start_to_close_timeout=LIMIT, result_type=str)
