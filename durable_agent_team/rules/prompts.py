"""The texts of a prompt. A specialist gets its role, its task and its inputs, never the goal."""

from collections.abc import Mapping

from durable_agent_team.contracts.call import Source
from durable_agent_team.contracts.team import Agent, Task, Team
from durable_agent_team.contracts.text_ref import Text
from durable_agent_team.rules.bounds import prompt_bytes

ORCHESTRATOR_ROLE = (
    "You are the orchestrator of a team of specialists. You alone know the goal, and you judge"
    " everything by it."
)

FINAL_ASK = (
    "Write the final answer to the goal from the team's results above, and from nothing else."
    " Answer directly and do not describe the team."
)


def system_text(agent: Agent) -> str:
    """The system message: the role, then the agent's instructions."""
    return f"You are: {agent.role}.\n{agent.instructions}".strip()


def orchestrator_text(team: Team) -> str:
    return f"{ORCHESTRATOR_ROLE}\n{team.orchestrator.instructions}".strip()


def task_sources(
    team: Team, task: Task, documents: Mapping[str, Text], handoffs: Mapping[str, Text]
) -> tuple[Source, ...]:
    """The agent's own documents, the task's, and its dependencies' hand-offs, each once."""
    names = dict.fromkeys((*team.agents[task.agent].inputs, *task.inputs))
    given = [Source.of(name, documents[name]) for name in names]
    done = [
        Source.of(dependency, handoffs[dependency])
        for dependency in dict.fromkeys(task.depends_on)
        if dependency in handoffs
    ]
    return (*given, *done)


def task_prompt_bytes(team: Team, task: Task, documents: Mapping[str, Text]) -> int:
    """Bytes of a task's first prompt, without the hand-offs of other tasks."""
    agent = team.agents[task.agent]
    sources = task_sources(team, task, documents, {})
    return prompt_bytes([system_text(agent), task.ask], sources, task.output)
