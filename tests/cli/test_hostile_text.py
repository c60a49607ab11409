"""Escape sequences, markup and shell syntax in goals, answers, errors, names and run ids."""

import asyncio
import json
import os
import pty
import re
import shlex
import termios
from pathlib import Path

import pytest
from temporalio.client import Client

from durable_agent_team.client.runs import start_run
from durable_agent_team.contracts.call import CallRequest, CallResult
from durable_agent_team.rules.safe_text import is_hidden
from durable_agent_team.team_files.team_file import load_team
from tests.cli.support import TEAM, Starter, new_id, serving
from tests.cli.test_live import _read_all
from tests.support.fakes import FakeWorld
from tests.support.printed_commands import without_since
from tests.support.warm import warm_starter

EVIL = (
    "F\x13. \x1b[31mred\x1b[0m \x1b]52;c;cm0=\x07\x1b]0;t\x1b\\ \x9b2J\x7f\u202etxt.exe\u2066\u200b"
)
MARKUP = "</pre><script>alert(1)</script>\n# Heading\n[a](http://b) | `c`\n```\n~~~"
RED = "\\x1b[31mred\\x1b[0m"
SHELL = "a; `id` $(id) 'b\" \\"


async def on_terminal(starter: Starter, *arguments: str, term: str = "dumb") -> str:
    """What a command writes to a terminal."""
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *warm_starter(), *arguments,
        env=starter.environment(COLUMNS="200", LINES="50", TERM=term),
        stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    assert termios.tcgetattr(theirs)
    os.close(theirs)
    shown = await asyncio.wait_for(asyncio.to_thread(_read_all, ours), 60)
    await process.wait()
    return shown.replace("\r\n", "\n")


def check_is_safe(shown: str, command: object) -> None:
    bad = {each for each in shown if is_hidden(each)} - {"\n"}
    assert not bad, (command, bad, shown)


def hostile(world: FakeWorld) -> None:
    """Every answer contains escape sequences and markup."""

    def rule(call: CallRequest) -> CallResult | None:
        answer = world.answer(call, EVIL + MARKUP)
        return answer.model_copy(update={"thinking": EVIL + MARKUP})

    world.rule = rule


TEXT = TEAM.replace(
    "goal: Decide whether to enter the market", f"goal: {json.dumps(EVIL + MARKUP)}"
)


async def test_no_command_writes_an_escape_sequence_to_a_terminal(
    starter: Starter, client: Client, tmp_path: Path
) -> None:
    world, run = FakeWorld(), f"{new_id()}\x1b]0;t\x07\u202e;`id`"
    hostile(world)
    file = starter.team(TEXT)
    async with serving(client, world):
        handle = await start_run(client, load_team(file), id=run)
        await handle.result()
        seen = await on_terminal(starter, "run", file, "--id", plain := new_id())
        check_is_safe(seen, "run")
        assert RED in seen
        commands = [
            ["state", plain], ["watch", plain], ["task", plain, "facts"], ["list"],
            ["list", "--json"], ["state", "x", EVIL], ["validate", EVIL],
            ["start", file, "--id", EVIL], ["task", plain, EVIL], ["graph", f"{EVIL}.yaml"],
            ["graph", file], ["estimate", file], ["spend", plain], ["charges", plain],
            ["report", plain, "--out", str(tmp_path / EVIL.replace("/", ""))],
            ["cancel", run, "--reason", EVIL], ["budget", plain, EVIL, "1"],
            ["transfer", plain, EVIL, "editor", "1"], ["retry", plain, EVIL],
            ["cancel-task", plain, EVIL], ["approve", plain, EVIL], ["pause", run],
            ["agent", plain, EVIL, "--model", EVIL], ["limits", plain, "--deadline", EVIL],
            ["reconcile", run], ["add-task", plain, EVIL], ["init", EVIL],
            ["schema"], ["resume", run], ["result", plain], ["approve", plain],
        ]  # fmt: skip
        for batch in (commands[at : at + 4] for at in range(0, len(commands), 4)):
            shown = await asyncio.gather(*(on_terminal(starter, *command) for command in batch))
            for command, text in zip(batch, shown, strict=True):
                check_is_safe(text, command)
                assert "Traceback" not in text, (command, text)
                assert text.strip(), command
        result = await starter("result", plain)
        assert EVIL in result.out, "in a pipe it is as it was"
        printed = await on_terminal(starter, "result", plain, "--json")
        assert json.loads(printed)["answer"] == EVIL + MARKUP


async def test_the_live_view_shows_escape_sequences_escaped(
    starter: Starter, world: FakeWorld
) -> None:
    hostile(world)
    seen = await on_terminal(
        starter, "run", starter.team(TEXT), "--id", new_id(), term="xterm-256color"
    )
    assert RED in seen
    without_styles = re.sub(r"\x1b\[\??[0-9;]*[A-Za-z]", "", seen)
    check_is_safe(without_styles.replace("\r", ""), "run")
    assert "\x1b[31mred" not in seen


async def test_a_refusal_is_shown_escaped_wherever_it_is_shown(
    starter: Starter, world: FakeWorld, tmp_path: Path
) -> None:
    def refuse(call: CallRequest) -> CallResult:
        answer = world.answer(call, "", reasons=(f"The model refused: {EVIL}{MARKUP}",))
        return answer.model_copy(update={"refusal": EVIL + MARKUP, "finish_reason": "refusal"})

    world.rule = refuse
    run = new_id()
    ended = await starter("run", starter.team(TEXT), "--id", run)
    assert ended.code == 1
    for command in (["state", run], ["task", run, "facts"], ["result", run]):
        check_is_safe(seen := await on_terminal(starter, *command), command)
        assert RED in seen, command
    piped = await starter("task", run, "facts", "--json")
    assert json.loads(piped.out)["calls"][0]["refusal"] == EVIL + MARKUP
    for ending in ("md", "html"):
        await starter("report", run, "--out", str(tmp_path / f"r.{ending}"))
        text = (tmp_path / f"r.{ending}").read_text()
        check_is_safe(text, ending)
        assert "<script" not in text


async def test_a_markdown_report_has_no_markup_of_an_answer(
    starter: Starter, world: FakeWorld, tmp_path: Path
) -> None:
    hostile(world)
    run = new_id()
    await starter("run", starter.team(TEXT), "--id", run)
    for ending in ("md", "html"):
        ended = await starter("report", run, "--out", str(tmp_path / f"r.{ending}"))
        assert ended.code == 0, ended.err
        text = (tmp_path / f"r.{ending}").read_text()
        check_is_safe(text, ending)
        assert "<script" not in text
        assert RED.replace("[", "\\[").replace("\\x", "\\\\x") in text or RED in text
    text = (tmp_path / "r.md").read_text()
    assert "\n# Heading" not in text
    assert re.findall(r"^#+ .*", text, re.M)[1:] == [
        "## Answer", "## Graph", "## Tasks", "### facts", "### prices", "### text", "## Money",
        "## Timeline",
    ]  # fmt: skip
    assert not re.search(r"(?<!\\)\]\(http", text)
    assert re.findall(r"^(```.*|~~~.*)", text, re.M) == ["```mermaid", "```"]


@pytest.mark.parametrize(
    "id", [SHELL, "a;b", "a`b", "a$(b)", "a b", "-a", "a'b", "a|b", "a&b", "~a"]
)
async def test_an_id_with_shell_syntax_is_refused(starter: Starter, id: str) -> None:
    ended = await starter("start", starter.team(), f"--id={id}")
    assert ended.code == 2
    assert ended.err.startswith(f"error: --id = {id}: ")
    assert "(leave it out, or use letters and digits)" in ended.err


async def test_a_printed_command_is_quoted_for_the_shell(
    starter: Starter, client: Client, world: FakeWorld
) -> None:
    """Such a run was started by another program."""
    run = f"{new_id()}{SHELL}"
    request = load_team(
        starter.team(TEAM.replace("result: text", "result: text\napprove_plan: true"))
    )
    await start_run(client, request, id=run)
    ended = await starter("pause", run)
    assert ended.code == 0, ended.err
    command = re.search(r"`(\S+ starter.py resume .*)` continues it", ended.out)
    assert command is not None
    assert shlex.split(command[1])[1:] == ["starter.py", "resume", run]
    for _ in range(50):
        found = json.loads((await starter("state", run, "--json")).out)
        if found["waiting"]:
            break
        await asyncio.sleep(0.1)
    shown = shlex.split(found["waiting"][0]["command"])[1:]
    assert without_since(shown) == ["starter.py", "approve", run, "plan"]
