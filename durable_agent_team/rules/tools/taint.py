"""What comes from outside: a conversation that has read it is tainted for its rest."""

from collections.abc import Collection, Iterator, Mapping

from durable_agent_team.contracts.team import Agent, Task
from durable_agent_team.contracts.tool_kinds import BuiltInTool, ServerTools, Tool
from durable_agent_team.rules.programs import run_of
from durable_agent_team.rules.revision import is_added

OF_THE_WORKER = frozenset({"calculate"})
"""Built-in tools whose results are made of the arguments alone."""

NAMES_DOCUMENTS = frozenset({"read_document", "search_documents"})
"""Built-in tools whose definitions have names of documents."""


def is_from_outside(tool: Tool) -> bool:
    """Whether a result of this tool may hold what nobody on the team wrote."""
    if tool.trusted:
        return False
    return not (isinstance(tool, BuiltInTool) and tool.built_in in OF_THE_WORKER)


def is_described_from_outside(tool: Tool) -> bool:
    """Whether the model reads of this tool, before any call of it, what nobody on the team wrote: a
    server's own descriptions, or the names of documents. What a function says of itself is the
    team's."""
    return is_from_outside(tool) and (
        isinstance(tool, ServerTools)
        or (isinstance(tool, BuiltInTool) and tool.built_in in NAMES_DOCUMENTS)
    )


def begins_tainted(
    task: Task,
    agent: Agent,
    tainted: Collection[str],
    tasks: Mapping[str, Task],
    agents: Mapping[str, Agent],
) -> bool:
    """Whether what a task's agent reads comes from outside: documents, descriptions of its tools,
    hand-offs that do, through any number of tasks, and, in a task that a review added after reading
    such hand-offs, its very ask.

    `tainted` has the tasks whose conversations are; `tasks` and `agents` are all of the run.
    """
    if task.inputs or agent.inputs or any(map(is_described_from_outside, agent.tools)):
        return True
    before = [each for each in tasks if each != task.id] if is_added(task.id) else task.depends_on
    return any(
        each in tainted or _reads_outside(tasks[each], agents.get(tasks[each].agent))
        for each in _with_ancestors(before, tasks)
    )


def _reads_outside(task: Task, agent: Agent | None) -> bool:
    """Whether the hand-off of a task may hold something from outside, in this run or in the one
    that it was taken over from. What a program or a remote agent reads is not known."""
    if agent is None or task.inputs or agent.inputs or run_of(agent) is not None:
        return True
    return any(map(is_from_outside, agent.tools))


def _with_ancestors(names: Collection[str], tasks: Mapping[str, Task]) -> Iterator[str]:
    """The tasks, and all that they depend on, each once."""
    seen: set[str] = set()
    following = list(names)
    while following:
        name = following.pop()
        if name not in seen and name in tasks:
            seen.add(name)
            yield name
            following += tasks[name].depends_on
