"""What a program uses that is an agent of a team: its task, and the host that calls its function.

`task` has what a function is called with, `host` calls it. Standard library only, for Python 3.10
and newer: the worker puts this package, and nothing else of the project, on the import path of
programs, whose environments know nothing of it.
"""

from durable_agent_team.agents.task import AgentClient, AgentTask, Input, Rejected

__all__ = ["AgentClient", "AgentTask", "Input", "Rejected"]
