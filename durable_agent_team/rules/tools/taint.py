"""What comes from outside: a conversation that has read it is tainted for its rest."""

from collections.abc import Collection

from durable_agent_team.contracts.team import Agent, Task
from durable_agent_team.contracts.tool_kinds import (
    READ_DOCUMENTS,
    BuiltInTool,
    ServerTools,
    Tool,
)
from durable_agent_team.rules.programs import run_of
from durable_agent_team.rules.revision import is_added

OF_THE_WORKER = frozenset({"calculate"})
"""Built-in tools whose results are made only of the arguments."""


def is_from_outside(tool: Tool) -> bool:
    """Whether a result of this tool may hold what nobody on the team wrote."""
    if tool.trusted:
        return False
    return not (isinstance(tool, BuiltInTool) and tool.built_in in OF_THE_WORKER)


def is_described_from_outside(tool: Tool) -> bool:
    """Whether the model reads of this tool, before any call of it, what nobody on the team wrote: a
    server's own descriptions, or the names of documents. What a function says about itself is the
    team's."""
    return is_from_outside(tool) and (
        isinstance(tool, ServerTools)
        or (isinstance(tool, BuiltInTool) and tool.built_in in READ_DOCUMENTS)
    )


def begins_tainted(
    task: Task, agent: Agent, tainted: Collection[str], asks: Collection[str] = ()
) -> bool:
    """Whether what a task's agent reads comes from outside: documents, descriptions of its tools,
    hand-offs of tasks that are `tainted`, and its very ask, in a task that a review added after
    reading such hand-offs: now, or before (`asks`), since they may be made anew."""
    if task.inputs or agent.inputs or any(map(is_described_from_outside, agent.tools)):
        return True
    if task.id in asks or (tainted and is_added(task.id)):
        return True
    return any(each in tainted for each in task.depends_on)


def hands_on_taint(
    task: Task, agent: Agent, tainted: Collection[str], asks: Collection[str] = ()
) -> bool:
    """Whether the hand-off of a task is tainted, apart from what its conversation has read. What a
    program or a remote agent reads is not known."""
    return begins_tainted(task, agent, tainted, asks) or run_of(agent) is not None


def may_be_tainted(
    task: Task, agent: Agent, tainted: Collection[str], asks: Collection[str] = ()
) -> bool:
    """The same for a hand-off of another run, of whose conversation nothing is known."""
    return hands_on_taint(task, agent, tainted, asks) or any(map(is_from_outside, agent.tools))
