"""Commands: team files, before any run."""

# ruff: noqa: PLC0415
# What a command does is imported when it is called, so that `--help` need not wait for it.

from typing import Annotated

import typer

from cli.arguments import Goal, Inputs, TeamFile

app = typer.Typer()


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
