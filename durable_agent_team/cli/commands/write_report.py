"""`report`: writes a run that has ended into one file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from durable_agent_team.cli.arguments import Json, Run
from durable_agent_team.cli.command_client import with_client
from durable_agent_team.cli.exit_codes import CommandError, ExitCode
from durable_agent_team.cli.output import print_answer, print_note
from durable_agent_team.process.called_program import starter_command
from durable_agent_team.rules.pydantic_messages import shown

if TYPE_CHECKING:
    from temporalio.client import Client

    from durable_agent_team.cli.ui.report_facts import RunFile

app = typer.Typer(rich_markup_mode=None)


@app.command()
def report(
    run: Run,
    out: Annotated[Path, typer.Option("--out", help="FILE.html, FILE.md or FILE.json.")],
    json: Json = False,
) -> int:
    """Write the report of an ended run to a file. Answer, graph, money and timeline."""
    from durable_agent_team.cli.atomic_file import write_out
    from durable_agent_team.cli.json_output import Written
    from durable_agent_team.cli.ui.report_formats import FORMATS

    if out.suffix not in FORMATS:
        problem = f"--out = {shown(str(out), 200)}: has no known format"
        problem += " (end it in .html, .md or .json)"
        raise CommandError(ExitCode.INVALID_INPUT, problem)
    found = _read_run(run)
    write_out(out, FORMATS[out.suffix](found))
    print_answer(Written(workflow_id=run, file=str(out)), str(out), json)
    if not json:
        print_note(f"run {run}: {found.report.status}")
    return ExitCode.DONE


def _read_run(run: str) -> "RunFile":
    from durable_agent_team.cli.ui.call_timeline import bars_of
    from durable_agent_team.cli.ui.report_facts import RunFile
    from durable_agent_team.cli.ui.report_tasks import task_sheets
    from durable_agent_team.client.run_history import read_record
    from durable_agent_team.client.run_plan import plan_of
    from durable_agent_team.client.runs import get_run

    async def read(client: "Client") -> RunFile:
        handle = get_run(client, run)
        if await handle.is_open():
            problem = f"run {run}: it is still open, and only a run that has ended has a report"
            remedy = f"`{starter_command('result', run)}` waits for it"
            raise CommandError(ExitCode.INVALID_INPUT, f"{problem} ({remedy})")
        report = await handle.report()
        record = await read_record(client, run)
        sheets = task_sheets(report, record, await plan_of(client, run))
        return RunFile(report=report, timeline=bars_of(record, report), tasks=sheets)

    return with_client(read)
