"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from durable_agent_team.cli.exit_codes import CommandError, ExitCode
from durable_agent_team.rules.pydantic_messages import shown

ID_PUNCTUATION = "-_.:/@+=,"
MAX_RUN_ID = 1_000
"""Characters; Temporal's limit."""


def _check_run_id(given: str, name: str) -> str:
    """Accepts every id that Temporal accepts, and that can be printed on one line."""
    problem = ""
    if not given.strip():
        problem = f"{name}: is empty"
    elif not given.isprintable():
        problem = (
            f"{name} = {given!r}: contains a line break or another character that cannot be printed"
        )
    elif len(given) > MAX_RUN_ID:
        problem = f"{name}: {len(given):,} characters, the maximum is {MAX_RUN_ID:,}"
    if problem:
        remedy = "leave it out, or choose a short id" if name == "--id" else "`list` shows them"
        raise CommandError(ExitCode.INVALID_INPUT, f"{problem} ({remedy})")
    return given


def check_run(given: str) -> str:
    """The callback of RUN."""
    return _check_run_id(given, "RUN")


def check_reused_run(given: str | None) -> str | None:
    """The callback of `--reuse`."""
    return None if given is None else _check_run_id(given, "--reuse")


def check_team_or_run(given: str) -> str:
    """The callback of `graph`'s TEAM|RUN."""
    return _check_run_id(given, "TEAM|RUN")


def check_new_run_id(given: str | None) -> str | None:
    """The callback of `--id`. A new id must also be easy to paste into a shell, without quotes."""
    if given is None:
        return None
    _check_run_id(given, "--id")
    unusual = [each for each in given if not (each.isalnum() or each in ID_PUNCTUATION)]
    if unusual or given[0] == "-":
        what = "starts with a dash"
        if unusual:
            what = "contains a space" if unusual[0].isspace() else f"contains {unusual[0]!r}"
        problem = f"--id = {shown(given)}: {what}"
        remedy = "leave it out, or use letters and digits"
        raise CommandError(ExitCode.INVALID_INPUT, f"{problem} ({remedy})")
    return given


TeamFile = Annotated[Path, typer.Argument(metavar="TEAM", help="The team file (YAML).")]
Run = Annotated[
    str,
    typer.Argument(metavar="RUN", help="The run's id, as `list` shows it.", callback=check_run),
]
Goal = Annotated[
    str | None, typer.Option("--goal", help="The goal; overrides the one in the team file.")
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
    typer.Option(
        "--id",
        help="The run's id. Default: team name, time and four characters.",
        callback=check_new_run_id,
    ),
]
Reuse = Annotated[
    str | None,
    typer.Option(
        "--reuse",
        metavar="RUN",
        help="Take over the answers of this ended run to the same requests; pay only for the rest.",
        callback=check_reused_run,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="JSON on standard output, for programs.")]
JsonLines = Annotated[
    bool, typer.Option("--json", help="JSON Lines on standard output: states, then the report.")
]
Agent = Annotated[str, typer.Argument(metavar="AGENT", help="Its name in the team file.")]
Task = Annotated[str, typer.Argument(metavar="TASK", help="The task's id, as `state` shows it.")]
Since = Annotated[
    str | None,
    typer.Option(
        "--since",
        metavar="TIME",
        help="Only if it has waited since then, as printed commands have it.",
    ),
]
