"""Tools in a team file: paths, and every mistake with its line, its place and a remedy."""

import json
from pathlib import Path

import jsonschema
import pytest

from durable_agent_team.cli.team_template import team_schema
from durable_agent_team.contracts.tool_kinds import BuiltInTool, CommandServer, PythonTool
from durable_agent_team.rules.validation import team_problems
from durable_agent_team.team_files.salvage import own_problems
from durable_agent_team.team_files.team_file import TeamFileError, load_team

HEAD = """name: t
goal: Decide something.
budget_usd: 1
final: handoff
tasks: [{id: x, agent: clerk, ask: Go.}]
"""


def written(folder: Path, rest: str) -> Path:
    (folder / "code").mkdir(exist_ok=True)
    server = folder / "server.sh"
    server.write_text("#!/bin/sh\n")
    server.chmod(0o755)
    file = folder / "team.yaml"
    file.write_text(HEAD + rest)
    return file


def clerk(*tools: str) -> str:
    lines = "".join(f"      - {each}\n" for each in tools)
    return f"agents:\n  clerk:\n    role: Clerk\n    tools:\n{lines}"


def said(file: Path) -> list[str]:
    """The problems of the file, and those that can still be found of what is left of it."""
    with pytest.raises(TeamFileError) as refused:
        load_team(file)
    error = refused.value
    found = [
        f"{each.line} {each.problem.field} = {each.problem.value}: {each.problem.what}"
        f" ({each.problem.remedy})"
        for each in error.problems
    ]
    assert error.partial is not None
    rest = own_problems(team_problems(error.partial), error.raw)
    return found + [f"- {each.field}: {each.what}" for each in rest]


def test_paths_are_relative_to_the_team_file_and_travel_as_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers = "tool_servers:\n  a: {command: [./server.sh, docs]}\n  b: {command: [sh, x/y]}\n"
    tools = clerk(
        "calculate", "{python: 'shop:a'}", "{python: 'shop:b', directory: code}", "{server: a}"
    )
    written(tmp_path, servers + tools)
    monkeypatch.chdir(tmp_path)
    team = load_team(Path("team.yaml")).team
    here = str(tmp_path)
    assert team.tool_servers == {
        "a": CommandServer(command=(f"{here}/server.sh", "docs"), directory=here),
        "b": CommandServer(command=("sh", "x/y"), directory=here),
    }
    assert team.agents["clerk"].tools[:3] == (
        BuiltInTool(built_in="calculate"),
        PythonTool(python="shop:a", directory=here),
        PythonTool(python="shop:b", directory=f"{here}/code"),
    )


@pytest.mark.parametrize(
    ("server", "found"),
    [
        (
            "{command: [no-such-program]}",
            ".command = no-such-program: there is no such program (install it, or name its path,"
            " such as ./server.py)",
        ),
        (
            "{command: [sh], directory: nowhere}",
            ".directory = HERE/nowhere: there is no such directory (paths are relative to the team"
            " file)",
        ),
        (
            "{command: [sh], env: {T: $ATXP_API_KEY}}",
            ".env = ATXP_API_KEY: no agent or tool is given this key: it could spend the money of"
            " every agent (leave it out)",
        ),
        (
            "{command: [sh], env: {T: secret}}",
            ".env.T = : this is not a variable of the worker's environment (write `T:"
            " $NAME`: values are never in a team file)",
        ),
        (
            "{command: [sh], env: [T]}",
            ".env = : these are not variables (write them like {TOKEN: $FILES_TOKEN})",
        ),
        (
            '{command: [sh, "a\\0b"]}',
            ".command = : an argument contains a NUL character, which no program can be given"
            " (leave it out)",
        ),
        (
            "{url: 'https://x.example:99999/?key=secret'}",
            ".url = https://x.example:99999/?key=***: this is not the address of a web server"
            " (correct its host or its port)",
        ),
        (
            "{command: [sh], url: 'https://x.example'}",
            " = {'command': ['sh'], 'url': 'https://x.example'}: this is not an MCP server (give"
            " exactly one of `command: [...]` and `url: https://...`)",
        ),
        (
            "{url: 'https://x.example', headers: {Authorization: $GATEWAY_PARENT_KEY}}",
            ".headers = GATEWAY_PARENT_KEY: no agent or tool is given this key: it could spend the"
            " money of every agent (leave it out)",
        ),
        (
            "{url: 'https://x.example', headers: {Authorization: secret}}",
            ".headers.Authorization = : this is not a header from a variable (write"
            " `$NAME`, or `Bearer $NAME`)",
        ),
        (
            "{url: x.example}",
            ".url = 'x.example': this is not an http:// or https:// URL (write it like"
            " https://example.com/mcp)",
        ),
        (
            "{command: [sh], timeout: 3}",
            ".timeout = : this key is not known (known here: stateful, trust_hints,"
            " connect_seconds, command, env, directory)",
        ),
    ],
)
def test_a_mistake_of_a_server_is_named_with_its_line(
    tmp_path: Path, server: str, found: str
) -> None:
    file = written(tmp_path, f"tool_servers:\n  files: {server}\n{clerk('{server: files}')}")
    assert said(file) == [f"7 tool_servers.files{found.replace('HERE', str(tmp_path))}"]


@pytest.mark.parametrize(
    ("tool", "found"),
    [
        (
            "calculater",
            " = 'calculater': this is not a built-in tool (did you mean `calculate`? Of a server,"
            " write {server: NAME}; of your own code, {python: module:function})",
        ),
        (
            "7",
            " = 7: this is not a tool (name a built-in tool (calculate, read_document,"
            " search_documents, fetch), or give exactly one of `server: NAME` and `python:"
            " module:function`)",
        ),
        (
            "{python: shop.refund}",
            ".python = 'shop.refund': this is not a function of a module (write it like"
            " market.crews:research)",
        ),
        (
            "{python: 'shop:f', directory: nowhere}",
            ".directory = HERE/nowhere: there is no such directory (paths are relative to the team"
            " file)",
        ),
        (
            "{python: 'shop:f', env: {AGENT_X: $Y}}",
            ".env = AGENT_X: names that begin with AGENT_ are the worker's (take another name)",
        ),
        (
            "{python: 'shop:f', env: {1X: $Y}}",
            ".env.1X = '1X': this is not a name of a variable (use letters, digits and `_`)",
        ),
        (
            "{python: 'shop:f', effects: twice}",
            ".effects = 'twice': this is not one of the choices (one of 'none', 'idempotent' or"
            " 'once')",
        ),
        (
            "{python: 'shop:f', approve: above_usd}",
            " = {'python': 'shop:f', 'approve': 'above_usd'}: `above_usd` and `approve: above_usd`"
            " belong together (write both, such as {approve: above_usd, above_usd: 50}, or"
            " neither)",
        ),
        (
            "{python: 'shop:f', effect: none}",
            ".effect = : this key is not known (did you mean `effects`?)",
        ),
        (
            "{built_in: fetch, hosts: ['https://x.example']}",
            ".hosts[0] = 'https://x.example': this is not a host (write it like docs.example.com,"
            " or *.example.com)",
        ),
        (
            "{server: Some Files}",
            ".server = 'Some Files': this is not a name (use a name from `tool_servers`)",
        ),
    ],
)
def test_a_mistake_of_a_tool_is_named_with_its_line(tmp_path: Path, tool: str, found: str) -> None:
    """And nothing that only follows from it: the tools after it keep their numbers."""
    file = written(tmp_path, clerk("{python: 'shop:e'}", tool))
    assert said(file) == [f"11 agents.clerk.tools[1]{found.replace('HERE', str(tmp_path))}"]


def test_mistakes_of_all_kinds_are_named_at_once(tmp_path: Path) -> None:
    servers = "tool_servers:\n  broken: {command: []}\n"
    tools = clerk("nonsense", "{server: broken}", "{server: other}", "fetch", "{python: 'a:b'}")
    file = written(tmp_path, servers + tools + "orchestrator: {tools: [calculate]}\n")
    found = said(file)
    assert [each.split(" = ")[0] for each in found] == [
        "17 orchestrator.tools",
        "7 tool_servers.broken.command",
        "12 agents.clerk.tools[0]",
        "- agents.clerk.tools[2].server: no such server",
        "- agents.clerk.tools[3].hosts: missing: fetch reads from no host that is not named",
    ]
    assert "has no tools (give them to an agent)" in found[0]


@pytest.mark.parametrize("tool", ["calculate", {"built_in": "fetch", "hosts": ["docs.example"]}])
def test_the_schema_of_editors_takes_a_name_for_a_built_in_tool(tool: object) -> None:
    team = {"name": "t", "agents": {"clerk": {"role": "R", "tools": [tool]}}}
    jsonschema.validate(team, team_schema())
    wrong = json.loads(json.dumps(team).replace("calculate", "calc").replace("docs", "/"))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, team_schema())


@pytest.mark.parametrize(
    ("rest", "says"),
    [
        (clerk("{server: s}") + "tool_servers: {s: {command: [true]}}\n",
         ["tool_servers.s.command[0] = true: a text is needed here (put it in quotes)"]),
        (clerk("{server: s}") + "tool_servers: {s: {command: npx -y it}}\n",
         ["tool_servers.s.command = 'npx -y it': a list is needed here"
          " (write a list, such as [first, second])"]),
        (clerk("{built_in: calculate, timeout_seconds: 5m}"),
         ["agents.clerk.tools[0].timeout_seconds = '5m': a number is needed here"
          " (write it like 20 or 0.5, without a unit)"]),
        (clerk("{built_in: calculate, approve: yes}"),
         ["agents.clerk.tools[0].approve = true: this is not one of the choices"
          " (one of 'never', 'always', 'tainted' or 'above_usd')"]),
    ],
)  # fmt: skip
def test_a_value_of_another_kind_is_shown_as_yaml_has_it_with_how_to_write_it(
    tmp_path: Path, rest: str, says: list[str]
) -> None:
    """And nothing else: a list with a wrong entry is not called empty."""
    assert [each.split(" ", 1)[1] for each in said(written(tmp_path, rest))] == says
