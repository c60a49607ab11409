"""Tools that are processes of a worker: their paths become absolute, and what is not there is
reported.

Paths of functions and of MCP servers are relative to the team file, as those of programs are.
"""

from collections.abc import Iterator
from pathlib import Path

from durable_agent_team.contracts.plan import Problem
from durable_agent_team.contracts.team import Agent, Team
from durable_agent_team.contracts.tool_kinds import (
    CommandServer,
    PythonTool,
    Tool,
    ToolServer,
    UrlServer,
)
from durable_agent_team.providers.url_secrets import without_url_secrets
from durable_agent_team.team_files.program_paths import (
    NO_URL,
    NOT_FOR_AGENTS,
    NUL,
    OURS,
    Where,
    is_directory,
    is_found,
    is_secret,
    is_web_address,
    joined,
    no_program,
)

Found = Iterator[tuple[str, str, str, str]]
"""A key, its value, what is wrong, and a remedy."""
RELATIVE = "paths are relative to the team file"


def with_absolute_tools(team: Team, folder: Path) -> Team:
    """The same team, with the paths of its servers and functions as the worker needs them."""
    base = folder.absolute()
    servers = {name: _server(each, base) for name, each in team.tool_servers.items()}
    agents = {
        name: _agent(each, base) if each.tools else each for name, each in team.agents.items()
    }
    if not servers and agents == team.agents:
        return team
    return team.model_copy(update={"tool_servers": servers, "agents": agents})


def tool_path_problems(team: Team) -> Iterator[tuple[Where, Problem]]:
    """What is wrong with the tools of a team whose paths are absolute, with its place."""
    for name, server in team.tool_servers.items():
        yield from _placed(("tool_servers", name), f"tool_servers.{name}", _of_server(server))
    for name, agent in team.agents.items():
        for index, tool in enumerate(agent.tools):
            if isinstance(tool, PythonTool):
                where = ("agents", name, "tools", index)
                yield from _placed(where, f"agents.{name}.tools[{index}]", _of_function(tool))


def _placed(where: Where, field: str, found: Found) -> Iterator[tuple[Where, Problem]]:
    for key, value, what, remedy in found:
        problem = Problem(field=f"{field}.{key}", value=value[:300], what=what, remedy=remedy)
        yield (*where, key), problem


def _agent(agent: Agent, base: Path) -> Agent:
    return agent.model_copy(update={"tools": tuple(_tool(each, base) for each in agent.tools)})


def _tool(tool: Tool, base: Path) -> Tool:
    if not isinstance(tool, PythonTool):
        return tool
    return tool.model_copy(update={"directory": str(joined(base, tool.directory or "."))})


def _server(server: ToolServer, base: Path) -> ToolServer:
    if isinstance(server, UrlServer):
        return server
    directory = joined(base, server.directory or ".")
    program, *arguments = server.command
    if "/" in program:
        program = str(joined(directory, program))
    command = (program, *arguments)
    return server.model_copy(update={"directory": str(directory), "command": command})


def _of_server(server: ToolServer) -> Found:
    if isinstance(server, UrlServer):
        if not is_web_address(server.url):
            yield "url", without_url_secrets(server.url), *NO_URL
        for reference in server.headers.values():
            yield from _variable("", reference.rpartition("$")[2], "headers")
        return
    if server.directory is not None and not is_directory(server.directory):
        yield "directory", server.directory, "there is no such directory", RELATIVE
    elif not is_found(server.command[0]):
        remedy = "paths are relative to `directory`, by default the team file's"
        if "/" not in server.command[0]:
            remedy = "install it, or name its path, such as ./server.py"
        yield "command", server.command[0], no_program(server.command[0]), remedy
    elif any("\0" in each for each in server.command):
        yield "command", "", *NUL
    yield from _variables(server)


def _of_function(tool: PythonTool) -> Found:
    if tool.directory is not None and not is_directory(tool.directory):
        yield "directory", tool.directory, "there is no such directory", RELATIVE
    yield from _variables(tool)


def _variables(given: CommandServer | PythonTool) -> Found:
    for name, reference in given.env.items():
        yield from _variable(name, reference.removeprefix("$"), "env")


def _variable(name: str, source: str, key: str) -> Found:
    if is_secret(source):
        yield key, source, NOT_FOR_AGENTS, "leave it out"
    elif name.startswith(OURS[0]):
        yield key, name, f"names that begin with {OURS[0]} are the worker's", "take another name"
