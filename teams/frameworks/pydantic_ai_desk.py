"""An agent of Pydantic AI."""

from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from durable_agent_team.agents import AgentTask
from tickets import open_ticket


async def answer(task: AgentTask) -> str:
    client = task.client
    provider = OpenAIProvider(base_url=client.base_url, api_key=client.api_key)
    model = OpenAIChatModel(client.model, provider=provider)
    agent = Agent(model, instructions=task.system(), tools=[open_ticket])
    return (await agent.run(task.prompt())).output
