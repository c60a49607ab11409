"""A Pydantic AI agent with tools on Temporal: made once in the worker, passed through the sandbox.
And its workflow."""

# mypy: disable-error-code="import-not-found, misc, no-any-return, arg-type, untyped-decorator"
# The packages are in the peer's own environment.

import os
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityConfig

with workflow.unsafe.imports_passed_through():
    from pydantic_ai import Agent, FunctionToolset, UsageLimits
    from pydantic_ai.durable_exec.temporal import PydanticAIWorkflow, TemporalDurability

    from benchmarks.peers.drivers.pydantic_ai_agent import _model
    from benchmarks.peers.drivers.wire import INSTRUCTIONS
    from benchmarks.tools import functions


def _durability() -> TemporalDurability[None]:
    attempts = int(os.environ["PEERS_TOOL_ATTEMPTS"])
    timeout = timedelta(seconds=float(os.environ["PEERS_TOOL_SECONDS"]))
    config = ActivityConfig(start_to_close_timeout=timeout)
    if attempts:
        config["retry_policy"] = RetryPolicy(maximum_attempts=attempts)
    return TemporalDurability(toolset_activity_config={"tools": config})


agent = Agent(
    _model(),
    name="clerk",
    instructions=INSTRUCTIONS,
    toolsets=[FunctionToolset([functions.look_up, functions.count], id="tools")],
    capabilities=[_durability()],
)


@workflow.defn
class ToolsWorkflow(PydanticAIWorkflow):
    __pydantic_ai_agents__ = (agent,)

    @workflow.run
    async def run(self, ask: str) -> str:
        result = await agent.run(ask, usage_limits=UsageLimits(request_limit=None))
        return result.output
