"""Generates `docs/tools.md`: its text, with the keys of servers and tools from the models."""

from collections.abc import Collection, Iterator
from pathlib import Path

from pydantic import BaseModel

from durable_agent_team.contracts.tool_kinds import (
    BuiltInTool,
    CommandServer,
    PythonTool,
    ServerTools,
    UrlServer,
)
from tools import key_tables

TEXT = Path(__file__).parent / "tools.text.md"
SHARED_BY_SERVERS = frozenset(CommandServer.model_fields) & frozenset(UrlServer.model_fields)
SHARED_BY_TOOLS = (
    frozenset(ServerTools.model_fields)
    & frozenset(PythonTool.model_fields)
    & frozenset(BuiltInTool.model_fields)
)
SECTIONS: dict[str, tuple[type[BaseModel], Collection[str]]] = {
    "server": (CommandServer, frozenset(CommandServer.model_fields) - SHARED_BY_SERVERS),
    "command_server": (CommandServer, SHARED_BY_SERVERS),
    "url_server": (UrlServer, SHARED_BY_SERVERS),
    "tool": (PythonTool, frozenset(PythonTool.model_fields) - SHARED_BY_TOOLS),
    "server_tools": (ServerTools, SHARED_BY_TOOLS),
    "python_tool": (PythonTool, SHARED_BY_TOOLS),
    "built_in_tool": (BuiltInTool, SHARED_BY_TOOLS),
}
"""Each table: a model, and which of its keys are in another table."""

MEANINGS: dict[str, dict[str, str]] = {
    "server": {
        "stateful": "`true`: the server remembers earlier calls of a session. If the session had to"
        " begin anew, the model is told so in the next result.",
        "trust_hints": "`true`: where the team file does not set `effects`, the server's hints do:"
        " `readOnlyHint` is `none`, `idempotentHint` is `idempotent`. By the specification, hints"
        " are not to be trusted unless the server is.",
        "connect_seconds": "How long the server may take to start or to be reached. `npx` and"
        " `uvx` install it on the first start, which can take longer: run the command once by hand"
        " before.",
    },
    "command_server": {
        "command": "The program and its arguments; no shell reads them. The process is the"
        " worker's, and ends with it.",
        "env": "The server's own variables: `{TOKEN: $FILES_TOKEN}` gives it the worker's"
        " `FILES_TOKEN` as `TOKEN`. Besides, it gets only those of the worker's variables that a"
        " program needs to start, such as `PATH`.",
        "directory": "Where relative paths of the command begin. If omitted: the team file's"
        " directory.",
    },
    "url_server": {
        "url": "The address of an MCP server that speaks streamable HTTP.",
        "headers": "`{Authorization: $CRM_AUTH}` or `{Authorization: Bearer $CRM_TOKEN}`: the value"
        " is read from the worker's environment, and is stored nowhere.",
    },
    "tool": {
        "effects": "What a call does to the world: `none`, `idempotent` or `once`. If omitted:"
        " `none` for what is built in, `once` for everything else. [effects.md](effects.md) says"
        " what follows from it.",
        "approve": "When a person has to approve a call before it runs. If omitted: `tainted`, and"
        " `never` for a tool without effects. See [approvals](#approvals).",
        "above_usd": "With `approve: above_usd`: the amount above which a person is asked.",
        "amount": "With `approve: above_usd`: the argument that holds the amount in USD. If"
        " omitted: `price_usd`. A call whose amount is not known needs approval.",
        "approval_timeout_seconds": "How long a call waits for approval.",
        "on_approval_timeout": "The answer if no person has answered by then.",
        "trusted": "`true`: its results do not [taint](#taint) the conversation.",
        "price_usd": "What a call costs the agent's account: reserved before it, settled after it.",
        "timeout_seconds": "How long one attempt of a call may take.",
        "max_attempts": "The most attempts of a call that has no effects or is idempotent.",
        "max_calls": "The most calls in one conversation, without those that a person rejects."
        " After that the tool is not offered any more.",
        "required": "`true`: the agent cannot answer before one call of the tool has succeeded.",
        "max_result_bytes": "The most of a result that the model gets. If a result is longer, it"
        " gets the beginning and the end, with a note of what is left out.",
        "key_argument": "The argument in which the tool gets the key of the call, which is the same"
        " in every attempt. The model does not see it. MCP servers get the key in `_meta`, too.",
    },
    "server_tools": {
        "server": "A name from `tool_servers`.",
        "only": "The tools to use, by the server's names. If omitted: all of them.",
        "leave_out": "The tools not to use.",
    },
    "python_tool": {
        "python": "`module:function`.",
        "directory": "Where the module is imported from. If omitted: the team file's directory.",
        "env": "Variables that the function's process gets: `{KEY: $SHOP_KEY}`.",
    },
    "built_in_tool": {
        "built_in": "Its name. `calculate` alone stands for `{built_in: calculate}`.",
        "hosts": "For `fetch`: the hosts that it may read from; `*.example.com` is every host below"
        " `example.com`. Without any, nothing can be fetched.",
    },
}


def tools_page() -> str:
    """Returns the page: its text, with each `<!-- keys: SECTION -->` replaced by a table."""
    return key_tables.page(TEXT, "tool_kinds.py", {name: table(name) for name in SECTIONS})


def table(section: str) -> Iterator[str]:
    """Yields the rows, one for each key. Raises ValueError if keys and meanings differ."""
    model, left_out = SECTIONS[section]
    return key_tables.rows(*key_tables.keys_of(model, left_out), MEANINGS[section], section)
