"""Pure: what an agent is told. A specialist gets its role, its ask and its inputs, no goal."""

from collections.abc import Mapping, Sequence

from durable_agent_team.contracts.call import Source
from durable_agent_team.contracts.team import Agent, Task, Team

BYTES_PER_TOKEN = 4
"""A rule of thumb for European text. The model's own tokenizer has the last word, upstream."""

MAX_PROMPT_BYTES = 1_500_000
"""An activity's argument beyond 2 MB would stop the run for good, so a larger prompt is unsent."""

ORCHESTRATOR_ROLE = (
    "You are the orchestrator of a team of specialists. You alone know the goal, and you judge"
    " everything by it."
)

FINAL_ASK = (
    "Write the final answer to the goal from the team's results above, and from nothing else."
    " Answer directly and do not describe the team."
)


def system_text(agent: Agent) -> str:
    """Who the specialist is, and how it is to work."""
    return f"You are: {agent.role}.\n{agent.instructions}".strip()


def orchestrator_text(team: Team) -> str:
    return f"{ORCHESTRATOR_ROLE}\n{team.orchestrator.instructions}".strip()


def task_sources(
    team: Team, task: Task, documents: Mapping[str, str], handoffs: Mapping[str, str]
) -> tuple[Source, ...]:
    """The agent's own documents, the task's, and its dependencies' hand-offs, each once."""
    names = dict.fromkeys((*team.agents[task.agent].inputs, *task.inputs))
    given = [Source(name=name, text=documents[name]) for name in names]
    done = [
        Source(name=dependency, text=handoffs[dependency])
        for dependency in dict.fromkeys(task.depends_on)
        if dependency in handoffs
    ]
    return (*given, *done)


def estimated_tokens(texts: Sequence[str]) -> int:
    """Tokens of a prompt, estimated from its UTF-8 bytes."""
    return -(-sum(len(text.encode()) for text in texts) // BYTES_PER_TOKEN)
