"""The commands, their arguments and their help. What they do is imported when they are called,
so that `--help` and `validate` need not wait for the Temporal client to load."""

# ruff: noqa: PLC0415

import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from cli.exits import HELP, Code, CommandError

app = typer.Typer(
    name="starter.py",
    help="Run a team of agents toward a goal: durably, in parallel, at an exact price.",
    epilog=HELP,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

TeamFile = Annotated[Path, typer.Argument(metavar="TEAM", help="The team file (YAML).")]
Run = Annotated[str, typer.Argument(metavar="RUN", help="The run's id, as `list` shows it.")]
Goal = Annotated[
    str | None, typer.Option("--goal", help="The goal; goes before the one in the team file.")
]
Inputs = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        metavar="TASK=FILE",
        help="Another document for a task of the team file. May be given several times.",
    ),
]
RunId = Annotated[
    str | None,
    typer.Option("--id", help="The run's id. Left out: team name, time and four characters."),
]
Json = Annotated[bool, typer.Option("--json", help="JSON on standard output, for programs.")]
JsonLines = Annotated[
    bool, typer.Option("--json", help="JSON Lines on standard output: states, then the report.")
]


@app.command()
def run(
    team: TeamFile,
    goal: Goal = None,
    input: Inputs = None,
    id: RunId = None,
    json: JsonLines = False,
) -> int:
    """Start a run, follow it, print its answer and its price.

    Ctrl-C stops following, not the run; `watch RUN` follows it again.
    """
    from cli import starting

    return starting.run(team, goal, input or [], id, json)


@app.command()
def start(
    team: TeamFile,
    goal: Goal = None,
    input: Inputs = None,
    id: RunId = None,
    json: Json = False,
) -> int:
    """Start a run and print its id. It goes on by itself."""
    from cli import starting

    return starting.start(team, goal, input or [], id, json)


@app.command()
def watch(run: Run, json: JsonLines = False) -> int:
    """Follow a run until it ends; print its answer and its price.

    Any number of viewers may follow a run, come and go. Ctrl-C stops following, not the run.
    """
    from cli import looking

    return looking.watch(run, json)


@app.command()
def result(run: Run, json: Json = False) -> int:
    """Wait for the end of a run; print its answer and its price.

    Of a run that has ended it needs no worker. Exit code 1 if it failed or was cancelled.
    """
    from cli import looking

    return looking.result(run, json)


@app.command()
def state(run: Run, json: Json = False) -> int:
    """Print a run's status and its tasks. Also what failed, and what waits for a person."""
    from cli import looking

    return looking.state(run, json)


@app.command()
def spend(run: Run, json: Json = False) -> int:
    """Print what each agent has spent, of what budget. Also what the ledger says."""
    from cli import looking

    return looking.spend(run, json)


@app.command("list")
def list_runs(
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="The newest N.")] = 20,
    json: Annotated[bool, typer.Option("--json", help="JSON Lines: one run a line.")] = False,
) -> int:
    """Print the newest runs: id, team, status, spend, start."""
    from cli import looking

    return looking.list_all(limit, json)


@app.command()
def cancel(
    run: Run,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is in the run's report.")] = "",
    json: Json = False,
) -> int:
    """Ask a run to stop. It keeps what is done, closes its accounts and reports."""
    from cli import steering

    return steering.cancel(run, reason, json)


@app.command()
def budget(
    run: Run,
    agent: Annotated[str, typer.Argument(metavar="AGENT", help="Its name in the team file.")],
    usd: Annotated[str, typer.Argument(metavar="USD", help="The new limit in all, such as 0.25.")],
    json: Json = False,
) -> int:
    """Give an agent a new limit. It is in force at the gateway when the command returns."""
    from cli import steering

    return steering.budget(run, agent, usd, json)


@app.command()
def validate(
    team: TeamFile,
    goal: Goal = None,
    input: Inputs = None,
    json: Annotated[bool, typer.Option("--json", help="JSON Lines: one finding a line.")] = False,
) -> int:
    """Check a team file: every error at once.

    Each has file, line where there is one, field, value and remedy.

    Models and context sizes are checked with the gateway's list of models, if it answers.
    """
    from cli import checking

    return checking.validate(team, goal, input or [], json)


def main() -> NoReturn:
    """Runs the command that the process was called with, and ends the process."""
    code = execute(sys.argv[1:])
    from runtime.process import leave

    leave(code)


def execute(arguments: Sequence[str]) -> int:
    """Runs one command and answers with its exit code. Nothing is raised."""
    try:
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


def _complain(text: str) -> None:
    print(f"error: {text}" if "\n" not in text else text, file=sys.stderr)
