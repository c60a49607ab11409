"""`run` and `start`: start a run from a team file."""

from typing import TYPE_CHECKING

import typer

from durable_agent_team.cli.arguments import Goal, Inputs, Json, JsonLines, Reuse, RunId, TeamFile
from durable_agent_team.cli.command_client import with_client
from durable_agent_team.cli.output import print_answer, print_note

if TYPE_CHECKING:
    from temporalio.client import Client

    from durable_agent_team.contracts.run import RunRequest

app = typer.Typer(rich_markup_mode=None)


@app.command()
def run(
    team: TeamFile,
    goal: Goal = None,
    input: Inputs = None,
    id: RunId = None,
    reuse: Reuse = None,
    json: JsonLines = False,
) -> int:
    """Start a run, follow it, print its answer and its price.

    Ctrl-C stops following, not the run; `watch RUN` follows it again.
    """
    from durable_agent_team.cli.request_file import load_request
    from durable_agent_team.cli.ui.follow_run import follow_run
    from durable_agent_team.client.runs import new_run_id, start_run

    request = load_request(team, goal, input or [])
    run_id = id or new_run_id(request.team.name)

    async def start_and_follow(client: "Client") -> int:
        if reuse is not None:
            return await _start_reusing(client, request, reuse, run_id, json=json)
        started = await start_run(client, request, id=run_id)
        print_note(f"run {started.id}")
        return await follow_run(started, json)

    return with_client(start_and_follow)


@app.command()
def start(
    team: TeamFile,
    goal: Goal = None,
    input: Inputs = None,
    id: RunId = None,
    reuse: Reuse = None,
    json: Json = False,
) -> int:
    """Start a run and print its id. It continues by itself."""
    from durable_agent_team.cli.json_output import Started
    from durable_agent_team.cli.request_file import load_request
    from durable_agent_team.client.runs import start_run

    request = load_request(team, goal, input or [])
    if reuse is not None:
        return with_client(
            lambda client: _start_reusing(client, request, reuse, id, json=json, detach=True)
        )
    handle = with_client(lambda client: start_run(client, request, id=id))
    return print_answer(Started(workflow_id=handle.id), handle.id, json)


async def _start_reusing(
    client: "Client",
    request: "RunRequest",
    reuse: str,
    id: str | None,
    *,
    json: bool,
    detach: bool = False,
) -> int:
    from durable_agent_team.cli.ui.continued_run import start_continued
    from durable_agent_team.client.reruns import reuse_request

    seeded = await reuse_request(client, request, reuse)
    return await start_continued(client, seeded, id, json=json, detach=detach)
