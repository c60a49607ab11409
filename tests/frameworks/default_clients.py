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


async def agent_framework(task: AgentTask) -> str:
    """By /v1/responses: an answer with a tool; the error of a second turn, which refers to it; and
    a second turn of an agent that stores nothing, streamed."""
    from agent_framework import Agent  # type: ignore[import-not-found, unused-ignore]  # noqa: PLC0415
    from agent_framework.openai import OpenAIChatClient  # type: ignore[import-not-found, unused-ignore]  # noqa: PLC0415

    _point_to(task)
    client = OpenAIChatClient(model=task.client.model)
    agent = Agent(client, instructions=task.system(), tools=[open_ticket])
    session = agent.create_session()
    said = [(await agent.run(task.prompt(), session=session)).text]
    try:
        await agent.run("Say it again.", session=session)
    except Exception as error:
        said.append(str(error))
    agent.default_options["store"] = False
    session = agent.create_session()
    await agent.run(task.prompt(), session=session)
    streamed = agent.run("Say it again.", session=session, stream=True)
    said.append((await streamed.get_final_response()).text)
    return "\n".join(said)


def _point_to(task: AgentTask) -> None:
    """As whoever knows only OpenAI's own variables."""
    os.environ["OPENAI_BASE_URL"] = task.client.base_url
    os.environ["OPENAI_API_KEY"] = task.client.api_key
