"""`task`: one task of a run, call by call, or turn by turn where its agent has tools."""

from typing import TYPE_CHECKING, Annotated

import typer

from durable_agent_team.cli.arguments import Json, Run
from durable_agent_team.cli.command_client import with_client
from durable_agent_team.cli.exit_codes import CommandError, ExitCode
from durable_agent_team.cli.output import print_answer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from temporalio.client import Client

    from durable_agent_team.cli.ui.task_calls import TaskLook
    from durable_agent_team.client.run_history import RunRecord
    from durable_agent_team.contracts.conversation_view import TurnView

app = typer.Typer(rich_markup_mode=None)


@app.command()
def task(
    run: Run,
    task: Annotated[str, typer.Argument(metavar="TASK", help="Its id, or `plan` or `answer`.")],
    json: Json = False,
) -> int:
    """Print a task call by call. Prompt, answer, checks, repairs, charges; needs no worker.

    For an agent with tools, turn by turn: what each turn cost, and each call of a tool with its
    arguments, effects, status, approval and result. With a worker, also why a call waits.
    If ATXP_API_KEY is set, the calls that a program made are read from the provider's ledger.
    """
    from durable_agent_team.cli.provider_accounts import read_ledgers, read_operator_settings
    from durable_agent_team.cli.ui.task_calls import task_look, task_text
    from durable_agent_team.client.pending_attempts import with_pending_attempts
    from durable_agent_team.client.run_history import read_record
    from durable_agent_team.client.run_texts import calls_in_full

    settings = read_operator_settings()

    async def read_calls(client: "Client") -> "TaskLook":
        record = await read_record(client, run)
        if not record.of_task(task):
            await _check_exists(client, record, task)
        record = await with_pending_attempts(client, record)
        record = await calls_in_full(client, record, task)
        if any(call.request.conversation is not None for call in record.of_task(task)):
            return task_look(record, task, turns=await _turns_now(client, run, task))
        if not any(call.program for call in record.of_task(task)):
            return task_look(record, task)
        return task_look(record, task, await read_ledgers(settings, record))

    found = with_client(read_calls)
    return print_answer(found, task_text(found), json)


async def _turns_now(client: "Client", run: str, task: str) -> "Sequence[TurnView]":
    """How the calls of tools stand, as the run says; nothing where no worker answers."""
    from durable_agent_team.client.exceptions import RunError
    from durable_agent_team.client.runs import get_run

    try:
        return await get_run(client, run).conversation(task)
    except RunError:
        return ()


async def _check_exists(client: "Client", record: "RunRecord", task: str) -> None:
    """A task without calls is in the team file, or in a plan that only the run knows."""
    from durable_agent_team.client.exceptions import RunError
    from durable_agent_team.client.runs import get_run

    known = {call.request.task: None for call in record.calls}
    if record.request is not None:
        known |= dict.fromkeys(each.id for each in record.request.team.tasks)
    if task not in known:
        try:
            state = await get_run(client, record.id).whole_state()
            known |= dict.fromkeys(each.id for each in state.tasks)
        except RunError:
            pass  # no worker: only the history can be read
    if task not in known:
        names = ", ".join(known) or "none yet"
        problem = f"TASK = {task}: no such task (there are: {names})"
        raise CommandError(ExitCode.INVALID_INPUT, problem)
