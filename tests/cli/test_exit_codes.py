"""Exit codes, also of many commands in a row, and the help of every command."""

import asyncio
import os
import re
import shlex
import subprocess
import sys
from functools import cache

import pytest
from temporalio.client import Client

from durable_agent_team.cli.command_group import COMMANDS as REGISTERED
from durable_agent_team.contracts.names import STARTER
from tests.cli.support import ROOT, Starter, new_id
from tests.support.fakes import FakeWorld
from tests.support.warm import warm_starter

COMMANDS = [
    "run", "start", "watch", "result", "state", "spend", "list", "cancel", "budget", "validate",
    "transfer", "retry", "cancel-task", "approve", "pause", "resume", "agent", "limits", "add-task",
    "task", "charges", "reconcile", "estimate", "schema", "init",
    "graph", "report", "rerun", "models", "start-input", "mcp", "answer", "approvals",
    "reject", "edit",
]  # fmt: skip
TIMES = int(os.environ.get("SHORT_COMMANDS", "50"))
"""Set SHORT_COMMANDS=200 for a longer test."""


def test_the_commands_are_the_documented_ones() -> None:
    assert sorted(REGISTERED) == sorted(COMMANDS)


@cache
def help_of(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*warm_starter(), *command, "--help"],
        cwd=ROOT, env={**os.environ, "COLUMNS": "80"}, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip


@pytest.mark.parametrize("command", [[], *([each] for each in COMMANDS)])
def test_every_command_has_help(command: list[str]) -> None:
    ended = help_of(*command)
    assert ended.returncode == 0
    assert f"Usage: {STARTER}" in ended.stdout
    assert "..." not in ended.stdout.partition("Commands:")[2], "no help is cut off"
    if command not in ([], ["validate"], ["mcp"]):  # mcp speaks a protocol of its own
        assert "--json" in ended.stdout


@pytest.mark.parametrize(
    "wrong", [["nonsense"], ["run"], ["budget", "a"], ["list", "--limit", "x"], ["state", "--no"]]
)
def test_wrong_usage_ends_with_2_and_refers_to_help(wrong: list[str]) -> None:
    ended = subprocess.run(
        [*warm_starter(), *wrong],
        cwd=ROOT, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert ended.returncode == 2
    assert "--help" in ended.stderr
    assert ended.stdout == ""


def test_a_closed_pipe_is_not_an_error() -> None:
    ended = subprocess.run(
        f"{shlex.quote(sys.executable)} starter.py --help | true; echo ${{PIPESTATUS[0]}}",
        cwd=ROOT, capture_output=True, text=True, timeout=30, check=False, shell=True,
        executable="/bin/bash",
    )  # fmt: skip
    assert ended.stdout.strip() in ("0", "141")
    assert "Traceback" not in ended.stderr


@pytest.mark.timeout(600)
async def test_short_commands_in_a_row_end_with_the_right_code(
    starter: Starter, client: Client, world: FakeWorld
) -> None:
    run = new_id()
    assert (await starter("run", starter.team(), "--id", run)).code == 0
    kinds = [
        (["state", run], 0),
        (["list"], 0),
        (["spend", run, "--json"], 0),
        (["result", run], 0),
        (["state", "nobody"], 2),
        (["cancel", run], 2),
        (["start", starter.team(), "--id", run], 2),
    ]
    wrong = []
    for number in range(0, TIMES, 2):
        pair = [kinds[(number + i) % len(kinds)] for i in range(2)]
        ends = await asyncio.gather(*(starter(*arguments) for arguments, _ in pair))
        wrong += [
            (arguments, end.code, end.err)
            for (arguments, code), end in zip(pair, ends, strict=True)
            if end.code != code
        ]
    assert wrong == []


def test_the_docs_name_every_command_and_every_option() -> None:
    pages = (ROOT / "docs" / "commands.md").read_text().split("\n## ")
    sections = {page.split("\n", 1)[0]: page for page in pages}
    for command in COMMANDS:
        shown = help_of(command)
        assert shown.returncode == 0
        for option in set(re.findall(r"--[a-z][a-z-]*", shown.stdout)) - {"--help"}:
            assert option in sections[command], f"docs/commands.md, {command}: {option} is missing"
