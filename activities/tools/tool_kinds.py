"""The seams of the dispatch: what each kind of tool is asked for."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from activities.tools.called_tool import CalledTool
from durable_agent_team.contracts.text_ref import Text
from durable_agent_team.contracts.tool_box import ToolDefinition
from durable_agent_team.contracts.tool_kinds import BuiltInTool, PythonTool


class Functions(Protocol):
    """The functions of the team's own."""

    async def describe(self, tool: PythonTool, *, fresh: bool = True) -> ToolDefinition:
        """Its schema, from its signature and docstring; without `fresh`, as it was when its process
        was first asked. Raises `ToolUnreachable`."""
        ...

    async def call(
        self,
        tool: PythonTool,
        described: ToolDefinition,
        arguments: dict[str, Any],
        key: str,
        timeout_seconds: float,
    ) -> CalledTool:
        """Runs it in a process that can be killed, if it is what `described` says. Raises
        `ToolError`."""
        ...


class BuiltIns(Protocol):
    """The tools that every worker has."""

    def definition(self, tool: BuiltInTool, documents: Sequence[str]) -> ToolDefinition: ...

    async def call(
        self,
        tool: BuiltInTool,
        arguments: dict[str, Any],
        documents: Mapping[str, Text],
        timeout_seconds: float,
    ) -> CalledTool:
        """Raises `ToolError`."""
        ...
