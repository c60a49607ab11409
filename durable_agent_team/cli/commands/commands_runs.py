"""Commands: start runs and look at them."""

# ruff: noqa: PLC0415
# What a command does is imported when it is called, so that `--help` need not wait for it.

from typing import Annotated

import typer

from durable_agent_team.cli.arguments import Goal, Inputs, Json, JsonLines, Run, RunId, TeamFile

app = typer.Typer()


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
    from durable_agent_team.cli.commands import starting

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
    from durable_agent_team.cli.commands import starting

    return starting.start(team, goal, input or [], id, json)


@app.command()
def watch(run: Run, json: JsonLines = False) -> int:
    """Follow a run until it ends; print its answer and its price.

    Any number of viewers may follow a run, come and go. Ctrl-C stops following, not the run.
    """
    from durable_agent_team.cli.commands import looking

    return looking.watch(run, json)


@app.command()
def result(run: Run, json: Json = False) -> int:
    """Wait for the end of a run; print its answer and its price.

    Of a run that has ended it needs no worker. Exit code 1 if it failed or was cancelled.
    """
    from durable_agent_team.cli.commands import looking

    return looking.result(run, json)


@app.command()
def state(run: Run, json: Json = False) -> int:
    """Print a run's status and its tasks. Also what failed, and what waits for a person."""
    from durable_agent_team.cli.commands import looking

    return looking.state(run, json)


@app.command()
def spend(run: Run, json: Json = False) -> int:
    """Print what each agent has spent, of what budget. Also what the ledger says."""
    from durable_agent_team.cli.commands import looking

    return looking.spend(run, json)


@app.command("list")
def list_runs(
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="The newest N.")] = 20,
    json: Annotated[bool, typer.Option("--json", help="JSON Lines: one run a line.")] = False,
) -> int:
    """Print the newest runs: id, team, status, spend, start."""
    from durable_agent_team.cli.commands import looking

    return looking.list_all(limit, json)
