"""The kinds of programs, servers and tools, which pydantic names in the paths of its errors."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pydantic import BaseModel

from durable_agent_team.contracts.program_kinds import CommandRun, PythonRun, RemoteRun
from durable_agent_team.contracts.tool_kinds import (
    BuiltInTool,
    CommandServer,
    PythonTool,
    ServerTools,
    UrlServer,
)

Path = tuple[str | int, ...]
Kinds = Mapping[str, type[BaseModel]]

PROGRAMS: Kinds = MappingProxyType({"python": PythonRun, "command": CommandRun, "a2a": RemoteRun})
SERVERS: Kinds = MappingProxyType({"command": CommandServer, "url": UrlServer})
TOOLS: Kinds = MappingProxyType(
    {"built_in": BuiltInTool, "server": ServerTools, "python": PythonTool}
)
_PLACES: tuple[tuple[Path, Kinds], ...] = (
    (("agents", "*", "run"), PROGRAMS),
    (("agents", "*", "tools", "*"), TOOLS),
    (("tool_servers", "*"), SERVERS),
)


@dataclass(frozen=True)
class Branch:
    """Where a path enters a kind: its place in the path, the kind's contract, and whether that is a
    program, a server or a tool."""

    at: int
    model: type[BaseModel]
    kinds: Kinds


def branch_of(path: Path) -> Branch | None:
    """None where the path is not inside of one of these kinds."""
    for place, kinds in _PLACES:
        at = len(place)
        if len(path) > at and _fits(path, place) and str(path[at]) in kinds:
            return Branch(at, kinds[str(path[at])], kinds)
    return None


def _fits(path: Path, place: Path) -> bool:
    return all(want in ("*", part) for part, want in zip(path, place, strict=False))
