"""The list of commands says what the commands themselves say, without importing them."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from typer.main import get_group

from durable_agent_team.cli import commands
from durable_agent_team.cli.command_group import COMMANDS, command_group, load_command
from tests.cli.support import ROOT

MODULES = sorted(
    path.stem for path in Path(commands.__path__[0]).glob("*.py") if path.stem != "__init__"
)
PRINT_IMPORTED = """
import sys
from durable_agent_team.cli.app import execute
execute(sys.argv[1:])
print(*sys.modules)
"""


def imported_by(*arguments: str) -> set[str]:
    """All modules that a command has imported when it ends."""
    ended = subprocess.run(
        [sys.executable, "-c", PRINT_IMPORTED, *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return set(ended.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("name", COMMANDS)
def test_a_summary_is_the_first_sentence_of_the_commands_own_help(name: str) -> None:
    listed = command_group().commands[name].get_short_help_str(200)
    assert listed == load_command(name).get_short_help_str(200) == COMMANDS[name].summary


@pytest.mark.parametrize("module", MODULES)
def test_every_command_of_a_module_is_listed(module: str) -> None:
    app = import_module(f"{commands.__name__}.{module}").app
    listed = {name for name, each in COMMANDS.items() if each.module == module}
    assert set(get_group(app).commands) == listed


def test_help_imports_no_command_and_not_the_sdk() -> None:
    imported = imported_by("--help")
    assert not any(name.startswith(f"{commands.__name__}.") for name in imported)
    assert "temporalio" not in imported


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_imports_its_module_only(name: str) -> None:
    imported = imported_by(name, "--help")
    own = {each for each in imported if each.startswith(f"{commands.__name__}.")}
    assert own == {f"{commands.__name__}.{COMMANDS[name].module}"}
    assert "temporalio" not in imported
