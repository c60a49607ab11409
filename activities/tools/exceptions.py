"""The failures of tools. `tool_errors` makes them `ApplicationError`s.

Their texts are shown to people and kept in Temporal's history: without secrets, and bounded.
"""

from typing import Final

from durable_agent_team.contracts.tool_call import ToolDemand


class ToolError(Exception):
    """Why a call has no result. With `sent`, the tool may have run."""

    def __init__(self, message: str, *, sent: bool = False) -> None:
        super().__init__(message)
        self.sent = sent


class ToolUnreachable(ToolError):
    """The tool's server, process or module could not be started or reached: nothing was called.

    `final`: another attempt would fail in the same way.
    """

    def __init__(self, message: str, *, final: bool = True) -> None:
        super().__init__(message)
        self.final = final


class ToolBroke(ToolError):
    """The tool ended without a result, or with one that cannot be read."""


class ToolTimedOut(ToolError):
    """No result within the tool's time."""


class ToolChanged(ToolError):
    """The tool is not the one that the run listed. Nothing was called."""


FUNCTION_CHANGED: Final = "its signature or its docstring is not the one that was listed"


class ToolAsks(ToolError):
    """The tool wants to be paid, or wants somebody to sign in. It has not run."""

    def __init__(self, message: str, demand: ToolDemand) -> None:
        super().__init__(message)
        self.demand = demand
