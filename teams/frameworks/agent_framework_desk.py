"""An agent of Microsoft's Agent Framework."""

from agent_framework import Agent
from agent_framework.openai import OpenAIChatCompletionClient
from openai import AsyncOpenAI

from durable_agent_team.agents import AgentTask
from tickets import open_ticket


async def answer(task: AgentTask) -> str:
    client = task.client
    http = AsyncOpenAI(base_url=client.base_url, api_key=client.api_key)
    model = OpenAIChatCompletionClient(model=client.model, async_client=http)
    agent = Agent(model, task.system(), tools=[open_ticket])
    return (await agent.run(task.prompt())).text
