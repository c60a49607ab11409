"""Starts a run that takes over work of another one, says what it saves, and follows it."""

from temporalio.client import Client

from durable_agent_team.cli.json_output import Continued
from durable_agent_team.cli.output import print_answer, print_note
from durable_agent_team.cli.ui.follow_run import follow_run
from durable_agent_team.cli.ui.saving_text import saving_text
from durable_agent_team.client.reruns import saving_of
from durable_agent_team.client.runs import start_run
from durable_agent_team.contracts.run import RunRequest


async def start_continued(
    client: Client, request: RunRequest, id: str | None, *, json: bool, detach: bool
) -> int:
    """`request` has a seed. Returns the exit code."""
    saving = saving_of(request)
    started = await start_run(client, request, id=id)
    if not detach:
        print_note(f"run {started.id}")
    print_note(saving_text(saving))
    if not detach:
        return await follow_run(started, json)
    answer = Continued(
        workflow_id=started.id,
        reused_from=saving.reused_from,
        tasks_taken_over=saving.tasks_taken_over,
        tasks_to_run=saving.tasks_to_run,
        reused_usd=saving.reused_usd,
    )
    return print_answer(answer, started.id, json)
