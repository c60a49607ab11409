"""`run` and `start`: from a team file to a run."""

from collections.abc import Sequence
from pathlib import Path

from temporalio.client import Client

from durable_agent_team.cli.exit_codes import Code
from durable_agent_team.cli.loading import load_request
from durable_agent_team.cli.output import note, say, say_json
from durable_agent_team.cli.session import with_client
from durable_agent_team.cli.ui.following import follow
from durable_agent_team.client.runs import new_run_id, start_run
from durable_agent_team.contracts.base import Message


class Started(Message):
    """What `start --json` prints."""

    workflow_id: str


def start(path: Path, goal: str | None, inputs: Sequence[str], id: str | None, json: bool) -> int:
    """Prints the id of the run that it started."""
    request = load_request(path, goal, inputs)

    async def work(client: Client) -> str:
        return (await start_run(client, request, id=id)).id

    run = with_client(work)
    if json:
        say_json(Started(workflow_id=run))
    else:
        say(run)
    return Code.DONE


def run(path: Path, goal: str | None, inputs: Sequence[str], id: str | None, json: bool) -> int:
    """Starts a run and follows it to its end."""
    request = load_request(path, goal, inputs)
    name = id or new_run_id(request.team.name)

    async def work(client: Client) -> int:
        started = await start_run(client, request, id=name)
        note(f"run {started.id}")
        return await follow(started, json)

    return with_client(work)
