"""The entry point of the command line: runs one command and ends the process."""

import io
import logging
import re
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

from durable_agent_team.cli.command_group import command_group
from durable_agent_team.cli.exit_codes import CommandError, ExitCode
from durable_agent_team.cli.output import accept_every_text, print_note
from durable_agent_team.contracts.bounded_text import cut
from durable_agent_team.process.called_program import as_called, starter_program
from durable_agent_team.process.interruption import end_where_it_is_lost
from durable_agent_team.providers.process_limits import COMMAND_MEGABYTES, too_low_limit
from durable_agent_team.providers.url_secrets import without_url_secrets
from durable_agent_team.rules.safe_text import one_line

MAX_WARNING = 600
MAX_USAGE = 2_000
"""Characters of what is printed of a library's text."""


class LibraryWarnings(logging.Handler):
    """What a library warns of, on one line and without its trace: Python itself would print it as
    it is, with the escape sequences of a variable that it repeats."""

    def emit(self, record: logging.LogRecord) -> None:
        text = cut(without_url_secrets(record.getMessage()), MAX_WARNING)
        print_note(f"warning: {record.name}: {one_line(text)}")


def main() -> NoReturn:
    """Runs the command given by `sys.argv` and exits with its code."""
    accept_every_text()
    logging.lastResort = LibraryWarnings(logging.WARNING)
    end_where_it_is_lost()
    code = execute(sys.argv[1:])
    from durable_agent_team.process.interpreter_exit import exit_process

    exit_process(code)


def execute(arguments: Sequence[str]) -> int:
    """Runs one command and returns its exit code. Does not raise."""
    try:
        _check_is_text(arguments)
        if problem := too_low_limit(COMMAND_MEGABYTES):
            raise CommandError(ExitCode.INVALID_INPUT, problem)
        code = command_group().main(
            list(arguments), prog_name=starter_program(), standalone_mode=False
        )
        return int(code or 0)
    except CommandError as error:
        _print_error(str(error))
        return error.code
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except SystemExit as error:
        # Click exits like this when the reader of a pipe is gone: 141, as in the shell.
        return 141 if isinstance(error.__context__, BrokenPipeError) else ExitCode.BUG
    except Exception as error:
        return ExitCode.INTERRUPTED if _was_interrupted(error) else _unexpected(error)


def _was_interrupted(error: Exception) -> bool:
    """While pydantic makes its validators it reports Ctrl-C as an error of a schema."""
    return type(error).__name__ == "SchemaError" and "KeyboardInterrupt" in str(error)


def _unexpected(error: Exception) -> int:
    """Typer prints wrong usage itself; anything else is a bug here, printed with its trace."""
    option = getattr(error, "option_name", "")
    if type(error).__name__ == "NoSuchOption" and re.match(r"-[\d.]", option):
        _print_error(f"{option}: is too small (use more than 0)")  # Click takes it for an option
        return ExitCode.INVALID_INPUT
    show = getattr(error, "show", None)
    if callable(show):
        shown = io.StringIO()
        show(file=shown)
        print_note(cut(shown.getvalue().rstrip("\n"), MAX_USAGE))
        return ExitCode.INVALID_INPUT
    if type(error).__name__ == "Abort":
        return ExitCode.INTERRUPTED
    if isinstance(error, MemoryError):
        _print_error("this process has no memory left: raise `ulimit -v`, or the container's limit")
        return ExitCode.INVALID_INPUT
    print_note("".join(traceback.format_exception(error)).rstrip("\n"))
    _print_error("this is a bug in the command; please report it with the lines above")
    return ExitCode.BUG


def _check_is_text(arguments: Sequence[str]) -> None:
    """Python passes bytes that are not UTF-8 as lone surrogates, which cannot be encoded later."""
    for number, each in enumerate(arguments, 1):
        if not each.isprintable() and any("\ud800" <= char <= "\udfff" for char in each):
            escaped = each.encode("utf-8", "backslashreplace").decode()
            text = f"argument {number} = {escaped}: is not UTF-8 text (type it again)"
            raise CommandError(ExitCode.INVALID_INPUT, text)


def _print_error(text: str) -> None:
    """The first line says that it is an error; a list of problems does so itself."""
    print_note(as_called(text if text.startswith("error:") else f"error: {text}"))
