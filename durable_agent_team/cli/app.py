"""The command line as a whole: all commands, and how the process ends."""

import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

import typer

from durable_agent_team.cli.commands import (
    commands_change,
    commands_look,
    commands_runs,
    commands_steer,
    commands_team,
)
from durable_agent_team.cli.exit_codes import HELP, Code, CommandError
from durable_agent_team.cli.output import accept_every_text, note

app = typer.Typer(
    name="starter.py",
    help="Run a team of agents toward a goal: durably, in parallel, at an exact price.",
    epilog=HELP,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

for part in (commands_runs, commands_steer, commands_change, commands_look, commands_team):
    app.registered_commands += part.app.registered_commands


def main() -> NoReturn:
    """Runs the command that the process was called with, and ends the process."""
    accept_every_text()
    code = execute(sys.argv[1:])
    from durable_agent_team.process.interpreter_exit import exit_process  # noqa: PLC0415

    exit_process(code)


def execute(arguments: Sequence[str]) -> int:
    """Runs one command and answers with its exit code. Nothing is raised."""
    try:
        _must_be_text(arguments)
        code = app(list(arguments), prog_name="starter.py", standalone_mode=False)
        return int(code or 0)
    except CommandError as error:
        _complain(str(error))
        return error.code
    except KeyboardInterrupt:
        return Code.INTERRUPTED
    except SystemExit as error:
        # Click's way out when the reader of a pipe has gone: 141, as the shell has it.
        return 141 if isinstance(error.__context__, BrokenPipeError) else Code.BUG
    except Exception as error:
        return _other(error)


def _other(error: Exception) -> int:
    """Wrong usage is told as typer tells it; anything else is a bug of ours, with its trace."""
    show = getattr(error, "show", None)
    if callable(show):
        show()
        return Code.INPUT_WRONG
    if type(error).__name__ == "Abort":
        return Code.INTERRUPTED
    traceback.print_exception(error)
    _complain("this is a bug in the command; please report it with the lines above")
    return Code.BUG


def _must_be_text(arguments: Sequence[str]) -> None:
    """Bytes that are no UTF-8 come as halves of characters, which no message can hold."""
    for number, each in enumerate(arguments, 1):
        if not each.isprintable() and any("\ud800" <= char <= "\udfff" for char in each):
            shown = each.encode("utf-8", "backslashreplace").decode()
            text = f"argument {number} = {shown}: is no UTF-8 text (type it anew)"
            raise CommandError(Code.INPUT_WRONG, text)


def _complain(text: str) -> None:
    """The first line says that it is an error; a list of problems does so itself."""
    note(text if text.startswith("error:") else f"error: {text}")
