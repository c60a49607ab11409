"""Commands: what a person changes of a run that goes on."""

# ruff: noqa: PLC0415
# What a command does is imported when it is called, so that `--help` need not wait for it.

from typing import Annotated

import typer

from durable_agent_team.cli.arguments import Agent, Json, Run

app = typer.Typer()


@app.command()
def agent(
    run: Run,
    agent: Agent,
    model: Annotated[str | None, typer.Option("--model", help="A model with a price.")] = None,
    instructions: Annotated[
        str | None, typer.Option("--instructions", help="How it is to work.")
    ] = None,
    timeout: Annotated[
        float | None, typer.Option("--timeout", help="Seconds for each attempt of a call.")
    ] = None,
    attempts: Annotated[
        int | None, typer.Option("--attempts", help="How often a call is tried, 1 to 20.")
    ] = None,
    json: Json = False,
) -> int:
    """Give an agent other settings for its next calls."""
    from durable_agent_team.cli.commands import changing

    changes = {
        "model": model,
        "instructions": instructions,
        "timeout_seconds": timeout,
        "max_attempts": attempts,
    }
    return changing.agent(run, agent, changes, json)


@app.command("add-task")
def add_task(
    run: Run,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="One task in YAML; `-` reads standard input.")
    ],
    json: Json = False,
) -> int:
    """Add a task to a run that works. It starts once what it depends on is done."""
    from durable_agent_team.cli.commands import changing

    return changing.add_task(run, file, json)


@app.command()
def limits(
    run: Run,
    max_parallel: Annotated[
        int | None, typer.Option("--max-parallel", help="Calls in flight at once, 1 to 500.")
    ] = None,
    budget: Annotated[
        str | None, typer.Option("--budget", metavar="USD", help="For all agents together.")
    ] = None,
    deadline: Annotated[
        str | None,
        typer.Option(
            "--deadline",
            metavar="TIME",
            help="Such as 2026-12-31T18:00:00+01:00: then nothing new starts. `none`: no deadline.",
        ),
    ] = None,
    json: Json = False,
) -> int:
    """Change a run's limits for what has not started."""
    from durable_agent_team.cli.commands import changing

    return changing.limits(run, max_parallel, budget, deadline, json)
