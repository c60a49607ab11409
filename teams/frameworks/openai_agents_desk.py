"""An agent of the OpenAI Agents SDK."""

from agents import Agent, OpenAIChatCompletionsModel, Runner, function_tool, set_tracing_disabled
from openai import AsyncOpenAI

from durable_agent_team.agents import AgentTask
from tickets import open_ticket

set_tracing_disabled(True)  # traces would go to OpenAI, with the key of OPENAI_API_KEY


async def answer(task: AgentTask) -> str:
    client = task.client
    http = AsyncOpenAI(base_url=client.base_url, api_key=client.api_key)
    agent = Agent(
        "desk",
        instructions=task.system(),
        model=OpenAIChatCompletionsModel(client.model, http),
        tools=[function_tool(open_ticket)],
    )
    result = await Runner.run(agent, task.prompt())
    return result.final_output
