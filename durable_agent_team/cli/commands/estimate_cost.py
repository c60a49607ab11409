"""`estimate`: what a team can cost at most, before anything is started."""

import typer

from durable_agent_team.cli.arguments import Goal, Inputs, Json, TeamFile
from durable_agent_team.cli.exit_codes import CommandError, ExitCode
from durable_agent_team.cli.output import print_answer

app = typer.Typer(rich_markup_mode=None)


@app.command()
def estimate(team: TeamFile, goal: Goal = None, input: Inputs = None, json: Json = False) -> int:
    """Print what a team can cost at most. By task, by agent, in all.

    Prices are the gateway's (`GET /v1/models`). Nothing is started.
    """
    from durable_agent_team.cli.provider_lookup import look_up_provider
    from durable_agent_team.cli.request_file import load_request
    from durable_agent_team.cli.ui.estimate_table import estimate_text
    from durable_agent_team.rules.catalog import models_of
    from durable_agent_team.rules.estimate import estimate as estimate_request

    request = load_request(team, goal, input or [])
    provider = look_up_provider(models_of(request.team))
    if provider is None:
        remedy = "set ATXP_LLM_URL to an endpoint that reports them"
        raise CommandError(ExitCode.NO_ANSWER, f"{team}: no prices, so no estimate ({remedy})")
    found = estimate_request(request, provider.catalog)
    return print_answer(found, estimate_text(found), json)
