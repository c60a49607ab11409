"""`validate`: everything that is wrong with a team file, before anything is started."""

from typing import Annotated

import typer

from durable_agent_team.cli.arguments import Goal, Inputs, TeamFile
from durable_agent_team.cli.exit_codes import ExitCode
from durable_agent_team.cli.output import print_json, print_line, print_note

app = typer.Typer(rich_markup_mode=None)


@app.command()
def validate(
    team: TeamFile,
    goal: Goal = None,
    input: Inputs = None,
    json: Annotated[
        bool, typer.Option("--json", help="JSON Lines: one finding a line, all of them.")
    ] = False,
    all: Annotated[bool, typer.Option("--all", help="Print more than the first 50.")] = False,
) -> int:
    """Check a team file: every error at once.

    Each has file, line where there is one, field, value and remedy.

    Models and context sizes are checked with the gateway's list of models, if it answers.
    """
    from durable_agent_team.cli.provider_lookup import (
        has_store,
        look_up_provider,
        named_models,
    )
    from durable_agent_team.cli.request_file import MAX_SHOWN, parse_inputs
    from durable_agent_team.cli.team_findings import (
        check_team,
        finding_text,
        programs_text,
        routes_text,
        valid_text,
    )
    from durable_agent_team.rules.counts import counted, more

    parse_inputs(input or [])  # before the provider is called
    found = check_team(team, goal, input or [], look_up_provider(named_models(team)), has_store())
    shown = found.findings if json or all else found.findings[:MAX_SHOWN]
    for each in shown:
        if json:
            print_json(each)
        else:
            print_line(finding_text(each))
    if left_out := len(found.findings) - len(shown):
        print_line(f"and {more(left_out, 'finding', 'findings')}: --all prints all")
    if found.default_model_unknown:
        print_note("note: agents without `model` get the worker's DEFAULT_MODEL, unknown here")
    wrong = sum(each.level == "error" for each in found.findings)
    if wrong:
        print_note(f"{team}: {counted(wrong, 'error')}")
        return ExitCode.INVALID_INPUT
    if not json and found.request is not None:
        print_line(valid_text(team, found))
        if routes := routes_text(found):
            print_line(routes)
        if programs := programs_text(found):
            print_line(programs)
    return ExitCode.DONE
