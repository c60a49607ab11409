"""Commands: what a person tells a run."""

# ruff: noqa: PLC0415
# What a command does is imported when it is called, so that `--help` need not wait for it.

from typing import Annotated

import typer

from durable_agent_team.cli.arguments import Agent, Json, Run, Task

app = typer.Typer()


@app.command()
def cancel(
    run: Run,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is in the run's report.")] = "",
    json: Json = False,
) -> int:
    """Ask a run to stop. It keeps what is done, closes its accounts and reports."""
    from durable_agent_team.cli.commands import steering

    return steering.cancel(run, reason, json)


@app.command()
def budget(
    run: Run,
    agent: Agent,
    usd: Annotated[str, typer.Argument(metavar="USD", help="The new limit in all, such as 0.25.")],
    json: Json = False,
) -> int:
    """Give an agent a new limit. It is in force at the gateway when the command returns."""
    from durable_agent_team.cli.commands import steering

    return steering.budget(run, agent, usd, json)


@app.command()
def transfer(
    run: Run,
    source: Annotated[str, typer.Argument(metavar="FROM", help="The agent that gives.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="The agent that gets.")],
    usd: Annotated[str, typer.Argument(metavar="USD", help="How much, such as 0.25.")],
    json: Json = False,
) -> int:
    """Move unspent money between two agents of a run. Both limits change, or neither."""
    from durable_agent_team.cli.commands import steering

    return steering.transfer(run, source, target, usd, json)


@app.command()
def retry(run: Run, task: Task, json: Json = False) -> int:
    """Wake a parked task, or try a failed one again. The run must still work."""
    from durable_agent_team.cli.commands import steering

    return steering.retry(run, task, json)


@app.command("cancel-task")
def cancel_task(
    run: Run,
    task: Task,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is the task's failure.")] = "",
    json: Json = False,
) -> int:
    """Stop one task. Dependants that accept missing inputs go on without it."""
    from durable_agent_team.cli.commands import steering

    return steering.cancel_task(run, task, reason, json)


@app.command()
def approve(
    run: Run,
    subject: Annotated[str, typer.Argument(metavar="SUBJECT", help="What waits, such as `plan`.")],
    no: Annotated[bool, typer.Option("--no", help="Refuse it; the run is cancelled.")] = False,
    note: Annotated[str, typer.Option("--note", help="Why; with a no it is the reason.")] = "",
    json: Json = False,
) -> int:
    """Answer what waits for a person. It goes on with a yes."""
    from durable_agent_team.cli.commands import steering

    return steering.approve(run, subject, not no, note, json)


@app.command()
def pause(run: Run, json: Json = False) -> int:
    """Let a run start no new call. Calls in flight go on."""
    from durable_agent_team.cli.commands import steering

    return steering.pause(run, json)


@app.command()
def resume(run: Run, json: Json = False) -> int:
    """Let a paused run go on."""
    from durable_agent_team.cli.commands import steering

    return steering.resume(run, json)
