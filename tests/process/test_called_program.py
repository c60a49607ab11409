"""A command in a message names the program as it was called."""

import shlex
import shutil
import sys

import pytest

from durable_agent_team.contracts import names
from durable_agent_team.process.called_program import (
    as_called,
    rerun_command,
    starter_command,
    starter_program,
)

INSTALLED = "/opt/env/bin/durable-agent-team"


@pytest.mark.parametrize(
    ("argv", "typed", "program"),
    [
        ("starter.py list", "python starter.py list", "python starter.py"),
        ("starter.py list", ".venv/bin/python starter.py list", ".venv/bin/python starter.py"),
        ("../x/starter.py list", "python3 -X dev ../x/starter.py list",
         "python3 -X dev ../x/starter.py"),
        ("'/my work/starter.py' starter.py", "'/a b/python' '/my work/starter.py' starter.py",
         "'/a b/python' '/my work/starter.py'"),
        (f"{INSTALLED} list", f"/opt/env/bin/python {INSTALLED} list", "durable-agent-team"),
        ("env/bin/durable-agent-team list", "python env/bin/durable-agent-team list",
         "env/bin/durable-agent-team"),
        ("worker.py", "python worker.py", names.STARTER),
        ("starter.py list", "python -c 'import x'", names.STARTER),
        ("", "python", names.STARTER),
    ],
)  # fmt: skip
def test_a_program_is_named_as_it_was_typed(
    monkeypatch: pytest.MonkeyPatch, argv: str, typed: str, program: str
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: INSTALLED)
    monkeypatch.setattr(sys, "argv", shlex.split(argv))
    monkeypatch.setattr(sys, "orig_argv", shlex.split(typed))
    assert starter_program() == program
    assert starter_command("state", "a b") == f"{program} state 'a b'"
    for written in (".venv/bin/python starter.py", "durable-agent-team"):
        assert as_called(f"{written} retry r a") == f"{program} retry r a"
        assert as_called(f"it is parked; `{written} retry r a` does") == (
            f"it is parked; `{program} retry r a` does"
        )
    assert as_called("the package durable-agent-team is old") == (
        "the package durable-agent-team is old"
    )


@pytest.mark.parametrize(
    "run", ["brief-1", "größe:2/x=y", "r" * 200, "a b", "-x", "it's", "r" * 201]
)
def test_a_printed_rerun_names_one_new_run_that_can_be_an_id(run: str) -> None:
    command = shlex.split(rerun_command(run, "--repeat-effects"))
    new = command[command.index("--id") + 1]
    assert check_new_run_id(new) == new
    assert shlex.split(rerun_command(run)) == [each for each in command if each[:8] != "--repeat"]
    assert (new == f"{run}-rerun") == (run in ("brief-1", "größe:2/x=y", "r" * 200))
    assert f"--id {rerun_command(run + 'x').split('--id ')[1]}" not in rerun_command(run)
