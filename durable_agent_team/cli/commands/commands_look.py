"""Commands: look into a run, also one that has ended or was terminated."""

# ruff: noqa: PLC0415
# What a command does is imported when it is called, so that `--help` need not wait for it.

from pathlib import Path
from typing import Annotated

import typer

from durable_agent_team.cli.arguments import Json, Run, given_team_or_run

app = typer.Typer()


@app.command()
def task(
    run: Run,
    task: Annotated[
        str, typer.Argument(metavar="TASK", help="Its id; `plan` and `answer` are there too.")
    ],
    json: Json = False,
) -> int:
    """Print a task call by call. Prompt, answer, checks, repairs, charges; needs no worker."""
    from durable_agent_team.cli.commands import one_task

    return one_task.show(run, task, json)


@app.command()
def charges(
    run: Run,
    json: Annotated[bool, typer.Option("--json", help="JSON Lines: one call a line.")] = False,
) -> int:
    """Print a run's ledger, call by call. With idempotency keys; needs no worker.

    Where ATXP_API_KEY is set, the provider's own books stand beside it.
    """
    from durable_agent_team.cli.commands import charges

    return charges.charges(run, json)


@app.command()
def reconcile(run: Run, json: Json = False) -> int:
    """Close the accounts of a run that was terminated. Prints what they spent; safe to repeat.

    Needs ATXP_API_KEY and ATXP_API_URL; no worker.
    """
    from durable_agent_team.cli.commands import charges

    return charges.reconcile(run, json)


@app.command()
def graph(
    what: Annotated[
        str,
        typer.Argument(
            metavar="TEAM|RUN", help="A team file, or a run's id.", callback=given_team_or_run
        ),
    ],
    mermaid: Annotated[bool, typer.Option("--mermaid", help="As a Mermaid flowchart.")] = False,
    json: Json = False,
) -> int:
    """Print the plan of a team file or a run. With states and prices."""
    from durable_agent_team.cli.commands import graphing

    return graphing.graph(what, mermaid, json)


@app.command()
def report(
    run: Run,
    out: Annotated[Path, typer.Option("--out", help="FILE.html, FILE.md or FILE.json.")],
    json: Json = False,
) -> int:
    """Write an ended run into one file. Answer, graph, money, timeline; to send to somebody."""
    from durable_agent_team.cli.commands import report_file

    return report_file.write(run, out, json)
