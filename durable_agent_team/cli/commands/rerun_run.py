"""`rerun`: continues a run that has ended, with a new run."""

from typing import TYPE_CHECKING, Annotated

import typer

from durable_agent_team.cli.arguments import JsonLines, Run, RunId
from durable_agent_team.cli.command_client import with_client

if TYPE_CHECKING:
    from temporalio.client import Client

app = typer.Typer(rich_markup_mode=None)


@app.command()
def rerun(
    run: Run,
    tasks: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="TASK",
            help="Do this task again, and all that depend on it. May be given several times.",
        ),
    ] = None,
    adjust: Annotated[
        list[str] | None,
        typer.Option(
            "--adjust",
            metavar="SETTING",
            help="Such as AGENT.model=M, AGENT.budget_usd=1 or budget_usd=5. May be repeated.",
        ),
    ] = None,
    repeat_effects: Annotated[
        bool,
        typer.Option(
            "--repeat-effects",
            help="Call tools with `effects: once` again that have acted, or may have, for a task"
            " that runs again. Without it, they are listed, and nothing is started.",
        ),
    ] = False,
    id: RunId = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Print the new run's id, and do not follow it.")
    ] = False,
    json: JsonLines = False,
) -> int:
    """Continue an ended run, as a new run.

    What is done is taken over and not paid again. What is not done, and what is behind it, runs.
    """
    from durable_agent_team.cli.adjust_option import parse_adjustment
    from durable_agent_team.cli.ui.continued_run import start_continued
    from durable_agent_team.client.reruns import rerun_request

    changes = [parse_adjustment(each) for each in adjust or []]

    async def start(client: "Client") -> int:
        request = await rerun_request(
            client, run, tasks=tasks or [], changes=changes, repeat_effects=repeat_effects
        )
        return await start_continued(client, request, id, json=json, detach=detach)

    return with_client(start)
