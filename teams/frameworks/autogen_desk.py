"""An agent of AutoGen."""

from autogen_agentchat.agents import AssistantAgent
from autogen_core.models import ModelFamily, ModelInfo
from autogen_ext.models.openai import OpenAIChatCompletionClient

from durable_agent_team.agents import AgentTask
from tickets import open_ticket

ABILITIES = ModelInfo(
    vision=False,
    function_calling=True,
    json_output=True,
    structured_output=True,
    family=ModelFamily.UNKNOWN,
)


async def answer(task: AgentTask) -> str:
    client = task.client
    model = OpenAIChatCompletionClient(
        model=client.model,
        base_url=client.base_url,
        api_key=client.api_key,
        model_info=ABILITIES,
    )
    agent = AssistantAgent(
        "desk",
        model,
        system_message=task.system(),
        tools=[open_ticket],
        reflect_on_tool_use=True,
    )
    result = await agent.run(task=task.prompt())
    return result.messages[-1].to_text()
