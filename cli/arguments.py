"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

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
Agent = Annotated[str, typer.Argument(metavar="AGENT", help="Its name in the team file.")]
Task = Annotated[str, typer.Argument(metavar="TASK", help="The task's id, as `state` shows it.")]
