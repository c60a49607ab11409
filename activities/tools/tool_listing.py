"""What the tools of one agent are: its servers and functions are asked once in a run."""

import asyncio
import hashlib
import json
from dataclasses import dataclass
from typing import Any, Final

from activities.tools.exceptions import ToolUnreachable
from activities.tools.mcp.definitions import MAX_SCHEMA_BYTES, ServerTool, without_key_argument
from activities.tools.mcp.sessions import McpSessions
from activities.tools.model_names import model_names
from activities.tools.tool_kinds import BuiltIns, Functions
from durable_agent_team.contracts.bounded_text import cut
from durable_agent_team.contracts.schema_size import MAX_DEPTH
from durable_agent_team.contracts.tool_box import (
    MAX_DEFINITIONS,
    MAX_DEFINITIONS_BYTES,
    MAX_SOURCE,
    ToolBox,
    ToolDefinition,
    ToolFacts,
)
from durable_agent_team.contracts.tool_call import ListTools
from durable_agent_team.contracts.tool_kinds import (
    MAX_TOOL_NAME,
    BuiltInTool,
    Effects,
    PythonTool,
    ServerTools,
    Tool,
)

MAX_INSTRUCTIONS: Final = 2_000
SAYS_MORE: Final = (
    "$ref",
    "allOf",
    "anyOf",
    "oneOf",
    "if",
    "dependentSchemas",
    "patternProperties",
)
"""Words of JSON Schema by which an object may have properties that `properties` does not name."""
MAX_NAMED: Final = 20
"""Tools that an error names."""


@dataclass(frozen=True)
class _Listed:
    """A tool, before it has a name that no other tool of the agent has."""

    entry: int
    group: str
    own_name: str
    source: str
    effects: Effects
    sha256: str
    description: str
    parameters: dict[str, Any]


class ToolListing:
    def __init__(self, sessions: McpSessions, functions: Functions, built_ins: BuiltIns) -> None:
        self._sessions = sessions
        self._functions = functions
        self._built_ins = built_ins

    async def box(self, wanted: ListTools) -> ToolBox:
        """The tools in the order of the agent's entries, with their definitions in full. Raises
        `ToolError`."""
        entries = (self._entry(wanted, number) for number in range(len(wanted.tools)))
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(entry) for entry in entries]
        tools = [tool for task in tasks for tool in task.result()[0]]
        said = {name: text for task in tasks for name, text in task.result()[1].items()}
        if len(tools) > MAX_DEFINITIONS:
            raise ToolUnreachable(
                f"the agent would have {len(tools)} tools, of {MAX_DEFINITIONS} that it may have:"
                " name those that it needs in `only`"
            )
        names = model_names([(tool.group, tool.own_name) for tool in tools])
        pairs = list(zip(names, tools, strict=True))
        definitions = _definitions(pairs)
        return ToolBox(
            tools=tuple(_facts(name, tool) for name, tool in pairs),
            definitions=definitions,
            sha256=hashlib.sha256(definitions.encode()).hexdigest(),
            instructions=said,
        )

    async def _entry(self, wanted: ListTools, number: int) -> tuple[list[_Listed], dict[str, str]]:
        tool = wanted.tools[number]
        if isinstance(tool, ServerTools):
            return await self._of_server(wanted, number, tool)
        if isinstance(tool, PythonTool):
            definition = await self._functions.describe(tool)
            source = tool.python
        else:
            definition = self._built_ins.definition(tool, wanted.documents)
            source = tool.built_in
        _check_amount(tool, source, [definition.parameters])
        listed = _Listed(
            entry=number,
            group="",
            own_name=definition.name,
            source=source,
            effects=_effects(tool),
            sha256=definition_sha256(definition),
            description=definition.description,
            parameters=definition.parameters,
        )
        return [listed], {}

    async def _of_server(
        self, wanted: ListTools, number: int, tool: ServerTools
    ) -> tuple[list[_Listed], dict[str, str]]:
        name, server = tool.server, wanted.servers[tool.server]
        async with self._sessions.listed(name, server, _LISTING, fresh=True) as (connection, found):
            said = connection.instructions[:MAX_INSTRUCTIONS]
        if missing := sorted({*tool.only, *tool.leave_out} - set(found)):
            has = ", ".join(map(_in_ascii, sorted(found)[:MAX_NAMED])) or "none"
            raise ToolUnreachable(f"the server {name!r} has no tool {missing[0]!a}; it has: {has}")
        chosen = [
            each
            for each in found.values()
            if (not tool.only or each.name in tool.only) and each.name not in tool.leave_out
        ]
        if not chosen:
            raise ToolUnreachable(
                f"the server {name!r} has no tools that can be called: one has a name of at most"
                f" {MAX_TOOL_NAME} characters and an `inputSchema` of type object, which is not"
                f" nested more than {MAX_DEPTH} levels deep, in less than {MAX_SCHEMA_BYTES} bytes"
            )
        key = tool.key_argument
        if key is not None and not any(takes(each, key) for each in chosen):
            raise ToolUnreachable(
                f"`key_argument`: no tool of the server {name!r} has an argument {key!r}"
            )
        _check_amount(tool, f"the server {name!r}", [each.parameters for each in chosen])
        listed = [
            _Listed(
                entry=number,
                group=name,
                own_name=each.name,
                source=cut(f"{name}.{_in_ascii(each.name)}", MAX_SOURCE),
                effects=_effects(tool, each.hinted if server.trust_hints else None),
                sha256=each.sha256,
                description=each.description,
                parameters=without_key_argument(each.parameters, key),
            )
            for each in chosen
        ]
        return listed, {name: said} if said else {}


_LISTING: Final = "listing"
"""In place of a conversation, for the session in which a stateful server is asked for its tools."""


def _in_ascii(name: str) -> str:
    """A server's name of a tool for people. What is not ASCII is escaped: they approve by it, and
    cannot tell letters of two scripts, or two ways to compose one, from each other."""
    return name.encode("unicode_escape").decode()


def takes(tool: ServerTool, argument: str) -> bool:
    """Whether a tool has an argument of this name."""
    properties = tool.parameters.get("properties")
    return isinstance(properties, dict) and argument in properties


def _check_amount(tool: Tool, source: str, schemas: list[dict[str, Any]]) -> None:
    """Raises `ToolUnreachable` where the argument that holds the amount of a call is one that no
    call can have: a person would be asked about each, whatever it moves."""
    amount = tool.amount
    if amount is None or any(_may_take(schema, amount) for schema in schemas):
        return
    names = sorted({name for schema in schemas for name in schema["properties"]})
    raise ToolUnreachable(
        f"`amount`: {source} has no argument {amount!r}; it has:"
        f" {', '.join(names[:MAX_NAMED]) or 'none'}"
    )


def _may_take(schema: dict[str, Any], argument: str) -> bool:
    """Also where the schema does not say by `properties` alone which arguments there are."""
    properties = schema.get("properties")
    if not isinstance(properties, dict) or argument in properties:
        return True
    return any(word in schema for word in SAYS_MORE)


def definition_sha256(definition: ToolDefinition) -> str:
    """The hash of a function or a built-in tool, which shows a change."""
    said = json.dumps(definition.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()


def _effects(tool: Tool, hinted: Effects | None = None) -> Effects:
    """The team file decides; then a server whose hints it trusts; then what is safest."""
    if tool.effects is not None:
        return tool.effects
    return Effects.NONE if isinstance(tool, BuiltInTool) else hinted or Effects.ONCE


def _facts(name: str, tool: _Listed) -> ToolFacts:
    return ToolFacts(
        name=name,
        entry=tool.entry,
        own_name=tool.own_name,
        source=tool.source,
        effects=tool.effects,
        sha256=tool.sha256,
    )


def _definitions(tools: list[tuple[str, _Listed]]) -> str:
    shown = [
        {
            "name": name,
            "description": tool.description,
            # Some providers refuse an object without it.
            "parameters": {"properties": {}, **tool.parameters},
        }
        for name, tool in tools
    ]
    text = json.dumps(shown, ensure_ascii=False, separators=(",", ":"))
    if len(text.encode()) > MAX_DEFINITIONS_BYTES:
        raise ToolUnreachable(
            f"the definitions of the agent's tools have {len(text.encode())} bytes, of"
            f" {MAX_DEFINITIONS_BYTES} that they may have: name those that it needs in `only`"
        )
    return text
