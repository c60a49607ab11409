"""`charges` and `reconcile`: what a run has paid, call by call, and at its provider."""

from typing import TYPE_CHECKING, Annotated

import typer

from durable_agent_team.cli.arguments import Json, Run
from durable_agent_team.cli.command_client import with_client
from durable_agent_team.cli.exit_codes import CommandError, ExitCode
from durable_agent_team.cli.output import print_answer, print_json, print_line, print_note
from durable_agent_team.process.called_program import starter_command

if TYPE_CHECKING:
    from temporalio.client import Client

    from durable_agent_team.cli.ui.charge_lines import ChargeLine, Reconciled
    from durable_agent_team.client.run_history import RunRecord

app = typer.Typer(rich_markup_mode=None)


@app.command()
def charges(
    run: Run,
    json: Annotated[bool, typer.Option("--json", help="JSON Lines: one call a line.")] = False,
) -> int:
    """Print a run's ledger, call by call. With idempotency keys; needs no worker.

    If ATXP_API_KEY is set, the provider's ledger is printed next to it.
    """
    from durable_agent_team.cli.provider_accounts import read_ledgers, read_operator_settings
    from durable_agent_team.cli.ui.charge_lines import charge_lines
    from durable_agent_team.cli.ui.charge_table import charge_table
    from durable_agent_team.client.run_history import read_record

    settings = read_operator_settings()

    async def read_charges(client: "Client") -> "tuple[ChargeLine, ...]":
        record = await read_record(client, run)
        return charge_lines(record, await read_ledgers(settings, record))

    lines = with_client(read_charges)
    if json:
        for line in lines:
            print_json(line)
    elif lines:
        print_line(charge_table(lines))
    else:
        print_note(f"run {run}: no call yet")
    return ExitCode.DONE


@app.command()
def reconcile(run: Run, json: Json = False) -> int:
    """Close the accounts of a run that was terminated. Prints what they spent; safe to repeat.

    Needs ATXP_API_KEY and ATXP_API_URL; no worker.
    """
    from durable_agent_team.cli.provider_accounts import close_accounts, read_operator_settings
    from durable_agent_team.cli.ui.charge_table import reconciled_text
    from durable_agent_team.client.run_history import read_record
    from durable_agent_team.client.runs import get_run

    settings = read_operator_settings()
    if settings.atxp_api_key is None:
        text = "ATXP_API_KEY is not set: the accounts' provider is called with the parent key"
        remedy = "set it in .env or the environment"
        raise CommandError(ExitCode.INVALID_INPUT, f"{text} ({remedy})")

    async def close(client: "Client") -> "tuple[RunRecord, Reconciled]":
        if await get_run(client, run).is_open():
            text = f"run {run}: it is still open, and closes its accounts itself"
            remedy = f"`{starter_command('cancel', run)}` makes it end and report"
            raise CommandError(ExitCode.INVALID_INPUT, f"{text} ({remedy})")
        record = await read_record(client, run)
        return record, await close_accounts(settings, record)

    record, found = with_client(close)
    return print_answer(found, reconciled_text(record, found), json)
