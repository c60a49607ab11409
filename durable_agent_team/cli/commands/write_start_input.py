"""`start-input`: what the Temporal CLI needs to start a run from a team file."""

from pathlib import Path
from typing import Annotated

import typer

from durable_agent_team.cli.arguments import Goal, Inputs, Json, RunId, TeamFile
from durable_agent_team.cli.exit_codes import CommandError, ExitCode
from durable_agent_team.cli.output import print_json_text, print_line, print_note

app = typer.Typer(rich_markup_mode=None)
MAX_ARGUMENT_BYTES = 100_000
"""Linux takes 131,072 bytes for one argument."""


@app.command(name="start-input")
def start_input(
    team: TeamFile,
    goal: Goal = None,
    input: Inputs = None,
    id: RunId = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write the start input to this file.")
    ] = None,
    json: Json = False,
) -> int:
    """Print the `temporal workflow start` command for a team file. Starts nothing.

    The start input contains the documents. `--json` prints the input alone.
    """
    from durable_agent_team.cli.atomic_file import write_out
    from durable_agent_team.cli.request_file import load_request, problem_text, start_input_problems
    from durable_agent_team.cli.temporal_command import temporal_start
    from durable_agent_team.client.runs import new_run_id

    request = load_request(team, goal, input or [])
    if problems := start_input_problems(team, request):
        raise CommandError(ExitCode.INVALID_INPUT, problem_text(problems))
    text = request.model_dump_json(exclude_unset=True)
    if out is not None:
        write_out(out, text + "\n")
    elif json:
        print_json_text(text)
        return ExitCode.DONE
    elif len(text.encode()) > MAX_ARGUMENT_BYTES:
        problem = f"the start input has {len(text.encode()):,} bytes, too many for a command line"
        raise CommandError(ExitCode.INVALID_INPUT, f"{problem} (give --out FILE)")
    if json:
        print_json_text(text)
    else:
        print_line(temporal_start(request, id or new_run_id(request.team.name), text, out))
    if out is not None:
        print_note(f"the start input is in {out}")
    return ExitCode.DONE
