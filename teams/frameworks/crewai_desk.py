"""A crew of CrewAI with one agent and one task."""

import os

os.environ["CREWAI_DISABLE_TELEMETRY"] = "true"  # read when crewai is imported

from crewai import LLM, Agent, Crew, Task
from crewai.tools import tool

from durable_agent_team.agents import AgentTask
from tickets import open_ticket


def answer(task: AgentTask) -> str:
    client = task.client
    model = LLM(
        model=client.model,
        provider="openai",
        base_url=client.base_url,
        api_key=client.api_key,
    )
    agent = Agent(
        role=task.role,
        goal="Help the customer.",
        backstory=task.instructions,
        llm=model,
        tools=[tool(open_ticket)],
    )
    work = Task(description=task.prompt(), expected_output="One sentence.", agent=agent)
    return Crew(agents=[agent], tasks=[work]).kickoff().raw
