"""What a program uses that is an agent of a team: its task, `once` for tools that change the world,
and the host that calls its function.

`task` has what a function is called with, `host` calls it, `once` keeps what its tools did, so that
no attempt does it again. `tool_host` calls functions that are tools of an agent; `tool_signature`
makes their schemas. Standard library only, for Python 3.10 and newer: the worker puts this package,
and nothing else of the project, on the import path of programs, whose environments know nothing of
it.
"""

from durable_agent_team.agents.effect_errors import (
    EffectRefused,
    EffectSkipped,
    EffectsUnavailable,
    EffectUnknown,
    OutsideOfTeam,
    ResultNotKept,
    ToolFailedBefore,
)
from durable_agent_team.agents.once import idempotency_key, once
from durable_agent_team.agents.task import AgentClient, AgentTask, Input, Rejected
from durable_agent_team.agents.tool_key import call_key

__all__ = [
    "AgentClient",
    "AgentTask",
    "EffectRefused",
    "EffectSkipped",
    "EffectUnknown",
    "EffectsUnavailable",
    "Input",
    "OutsideOfTeam",
    "Rejected",
    "ResultNotKept",
    "ToolFailedBefore",
    "call_key",
    "idempotency_key",
    "once",
]
