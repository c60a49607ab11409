"""Which of the tools answers what waits in a run, from the command that answers it in a shell.

A client has no shell, or should not need one: what the command knows, such as a limit that is
enough, are the arguments of a tool.
"""

import shlex
from collections.abc import Set
from typing import Any, Final

from durable_agent_team.contracts.names import STARTERS
from durable_agent_team.contracts.run import Waiting

Json = dict[str, Any]
UNDECIDED: Final = "DECISION"
"""What a command has in place of a decision that is left to a person."""

SINCE: Final = "--since"
RAISE_ONLY: Final = "--raise-only"


def tool_of(run: str, waiting: Waiting, offered: Set[str]) -> Json | None:
    """The tool with its arguments, as far as they are known; None where none that is offered
    answers it."""
    found = _from_command(run, waiting)
    return found if found is not None and found["name"] in offered else None


def _from_command(run: str, waiting: Waiting) -> Json | None:
    command, *words = _words(waiting.command)
    only: dict[str, str] = {}
    if SINCE in words:
        at = words.index(SINCE)
        only, words = {"since": words[at + 1]}, [*words[:at], *words[at + 2 :]]
    match command:
        case "budget" if waiting.agent is not None:
            raising = {"raise_only": True} if RAISE_ONLY in words else {}
            return _tool(
                "adjust_budget", run=run, agent=waiting.agent, budget_usd=words[-1], **raising
            )
        case "retry" | "resume":
            return _tool("retry_task", run=run, task=waiting.subject, **only)
        case "approve":
            return _tool("approve", run=run, subject=waiting.subject, **only)
        case "answer":
            decision = words[2]
            known = {} if decision == UNDECIDED else {"decision": decision}
            return _tool("answer", run=run, subject=waiting.subject, **known, **only)
    return None


def _words(command: str) -> list[str]:
    """The command and its arguments, without the program."""
    for program in STARTERS:
        command = command.removeprefix(f"{program} ")
    return [each for each in shlex.split(command) if each != "--"]


def _tool(name: str, **arguments: str | bool) -> Json:
    return {"name": name, "arguments": arguments}
