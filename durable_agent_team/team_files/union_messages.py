"""What is wrong with a program, a server or a tool, where pydantic's own words say nothing."""

from types import MappingProxyType
from typing import Any, Final

from durable_agent_team.contracts.tool_kinds import BUILT_IN
from durable_agent_team.rules.nearest_names import choice
from durable_agent_team.team_files.union_branches import PROGRAMS, TOOLS, Branch, Path

Words = tuple[str, str]
"""What is wrong, and a remedy."""

NO_KIND: Final = MappingProxyType(
    {
        "no_kind_of_program": (
            "this is not a program",
            "give exactly one of `python: module:function`, `command: [...]`, `a2a: URL`",
        ),
        "no_kind_of_server": (
            "this is not an MCP server",
            "give exactly one of `command: [...]` and `url: https://...`",
        ),
        "no_kind_of_tool": (
            "this is not a tool",
            f"name a built-in tool ({', '.join(BUILT_IN)}), or give exactly one of `server: NAME`"
            " and `python: module:function`",
        ),
    }
)
_REFERENCE: Final = "this is not a variable of the worker's environment"
_NO_URL: Final = "this is not an http:// or https:// URL"


def special_words(path: Path, line: Any, branch: Branch) -> Words | None:
    """For a value inside of one of the kinds; `path` is without the kind. None where pydantic's
    words will do."""
    kind, key = line["type"], str(path[branch.at]) if len(path) > branch.at else ""
    if kind == "above_usd":
        return (
            "`above_usd` and `approve: above_usd` belong together",
            "write both, such as {approve: above_usd, above_usd: 50}, or neither",
        )
    if branch.kinds is TOOLS and not key:
        named = str(line["input"])[:80]
        return "this is not a built-in tool", _built_in_remedy(named)
    if branch.kinds is PROGRAMS and key == "env":
        return (
            "these are not names of environment variables",
            "write a list, such as [TAVILY_KEY], or the program's own names: {KEY: $TAVILY_KEY}",
        )
    if key == "env" and kind == "dict_type":
        return "these are not variables", "write them like {TOKEN: $FILES_TOKEN}"
    if kind != "string_pattern_mismatch":
        return None
    return _pattern_words(key, path, line)


def _pattern_words(key: str, path: Path, line: Any) -> Words:
    match key:
        case "python":
            return "this is not a function of a module", "write it like market.crews:research"
        case "headers":
            return "this is not a header from a variable", "write `$NAME`, or `Bearer $NAME`"
        case "env" if str(line["ctx"].get("pattern", "")).startswith("^\\$"):
            return _REFERENCE, f"write `{path[-1]}: $NAME`: values are never in a team file"
        case "env":
            return "this is not a name of a variable", "use letters, digits and `_`"
        case "hosts":
            return "this is not a host", "write it like docs.example.com, or *.example.com"
        case "server":
            return "this is not a name", "use a name from `tool_servers`"
        case "url":
            return _NO_URL, "write it like https://example.com/mcp"
    return _NO_URL, "write it like https://example.com/agent"


def _built_in_remedy(named: str) -> str:
    return (
        f"{choice(named, BUILT_IN)} Of a server, write {{server: NAME}}; of your own code,"
        " {python: module:function}"
    )
