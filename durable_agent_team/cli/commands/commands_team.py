"""Commands: team files, before any run."""

# ruff: noqa: PLC0415
# What a command does is imported when it is called, so that `--help` need not wait for it.

from typing import Annotated

import typer

from durable_agent_team.cli.arguments import Goal, Inputs, Json, TeamFile

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
    from durable_agent_team.cli.commands import checking

    return checking.validate(team, goal, input or [], json)


@app.command()
def estimate(team: TeamFile, goal: Goal = None, input: Inputs = None, json: Json = False) -> int:
    """Print what a team can cost at most. By task, by agent, in all.

    Prices are the gateway's (`GET /v1/models`). Nothing is started.
    """
    from durable_agent_team.cli.commands import estimating

    return estimating.estimate(team, goal, input or [], json)


@app.command()
def schema(
    json: Annotated[bool, typer.Option("--json", help="On one line, for programs.")] = False,
) -> int:
    """Print the JSON Schema of a team file. For editors and programs."""
    from durable_agent_team.cli.commands import drafting

    return drafting.schema(json)


@app.command()
def init(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The team's name.")],
    json: Json = False,
) -> int:
    """Write NAME.yaml: a small team file with comments. It validates as it is."""
    from durable_agent_team.cli.commands import drafting

    return drafting.init(name, json)
