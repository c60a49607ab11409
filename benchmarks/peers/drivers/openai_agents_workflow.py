"""An agent with tools in the OpenAI Agents SDK, on Temporal's own plugin: its workflow."""

# mypy: disable-error-code="import-not-found, misc"
# The packages are in the peer's own environment.

import asyncio
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from agents import Agent, Runner
    from temporalio.openai_agents.workflow import activity_as_tool

    from benchmarks.peers.drivers.wire import INSTRUCTIONS, MODEL
    from benchmarks.tools import functions

MAX_TURNS = 1_000


@activity.defn
async def look_up(n: int) -> str:
    """Reads the figures of one region."""
    return functions.look_up(n)


@activity.defn
async def count(n: int, file: str, seconds: float) -> str:
    """Has an effect: adds a line to a file; then it takes a while to answer."""
    return await asyncio.to_thread(functions.count, n, file, seconds)


@workflow.defn
class ToolsWorkflow:
    @workflow.run
    async def run(self, ask: str, attempts: int, timeout_seconds: float) -> str:
        """`attempts` of a tool; 0 as it comes, which is without a limit."""
        tools = [
            activity_as_tool(
                each,
                start_to_close_timeout=timedelta(seconds=timeout_seconds),
                retry_policy=RetryPolicy(maximum_attempts=attempts) if attempts else None,
            )
            for each in (look_up, count)
        ]
        agent = Agent(name="analyst", instructions=INSTRUCTIONS, model=MODEL, tools=tools)
        result = await Runner.run(agent, ask, max_turns=MAX_TURNS)
        return str(result.final_output)
