"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from durable_agent_team.cli.exit_codes import Code, CommandError
from durable_agent_team.rules.pydantic_messages import shown

MAX_RUN_ID = 1_000
"""Characters: Temporal takes no more."""


def _run_id(given: str | None, name: str) -> str | None:
    """Every id that Temporal takes, and that can be shown on one line and typed again."""
    if given is None:
        return None
    what = ""
    if not given.strip():
        what = f"{name}: is empty"
    elif not given.isprintable():
        what = f"{name} = {given!r}: holds a line break or another character that cannot be shown"
    elif len(given) > MAX_RUN_ID:
        what = f"{name}: {len(given):,} characters, and {MAX_RUN_ID:,} are the most"
    if what:
        remedy = "leave it out, or choose a short id" if name == "--id" else "`list` shows them"
        raise CommandError(Code.INPUT_WRONG, f"{what} ({remedy})")
    return given


def _given_run(given: str) -> str:
    return _run_id(given, "RUN") or ""


def given_team_or_run(given: str) -> str:
    """For `graph`, which takes either."""
    return _run_id(given, "TEAM|RUN") or ""


def _given_id(given: str | None) -> str | None:
    """A new one can be pasted into a shell as it is."""
    if given is not None and given.strip() and (given[0] == "-" or " " in given):
        what = "starts with a dash" if given[0] == "-" else "holds a space"
        told = f"--id = {shown(given)}: {what}"
        raise CommandError(Code.INPUT_WRONG, f"{told} (leave it out, or use letters and digits)")
    return _run_id(given, "--id")


TeamFile = Annotated[Path, typer.Argument(metavar="TEAM", help="The team file (YAML).")]
Run = Annotated[
    str,
    typer.Argument(metavar="RUN", help="The run's id, as `list` shows it.", callback=_given_run),
]
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
    typer.Option(
        "--id",
        help="The run's id. Left out: team name, time and four characters.",
        callback=_given_id,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="JSON on standard output, for programs.")]
JsonLines = Annotated[
    bool, typer.Option("--json", help="JSON Lines on standard output: states, then the report.")
]
Agent = Annotated[str, typer.Argument(metavar="AGENT", help="Its name in the team file.")]
Task = Annotated[str, typer.Argument(metavar="TASK", help="The task's id, as `state` shows it.")]
