"""Agents with the default client of their framework: an address and a key, nothing else.

Run by `HostedDesk`, in processes that have the framework.
"""

import os

from durable_agent_team.agents import AgentTask
from tickets import open_ticket  # type: ignore[import-not-found]  # of teams/frameworks


async def openai_agents(task: AgentTask) -> str:
    """By /v1/responses, streamed."""
    from agents import Agent, Runner, function_tool, set_tracing_disabled  # type: ignore[import-not-found, unused-ignore]  # noqa: PLC0415

    set_tracing_disabled(True)
    _point_to(task)
    tools = [function_tool(open_ticket)]
    agent = Agent("desk", instructions=task.system(), model=task.client.model, tools=tools)
    streamed = Runner.run_streamed(agent, task.prompt())
    async for _ in streamed.stream_events():
        pass
    return str(streamed.final_output)


async def pydantic_ai(task: AgentTask) -> str:
    """By /v1/responses."""
    from pydantic_ai import Agent  # type: ignore[import-not-found, unused-ignore]  # noqa: PLC0415

    _point_to(task)
    agent = Agent(f"openai:{task.client.model}", instructions=task.system(), tools=[open_ticket])
    return str((await agent.run(task.prompt())).output)


def _point_to(task: AgentTask) -> None:
    """As whoever knows only OpenAI's own variables."""
    os.environ["OPENAI_BASE_URL"] = task.client.base_url
    os.environ["OPENAI_API_KEY"] = task.client.api_key
