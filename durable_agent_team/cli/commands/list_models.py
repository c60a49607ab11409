"""`models`: what the gateway can call, on which upstream, at what price."""

from typing import Annotated

import typer

from durable_agent_team.cli.exit_codes import CommandError, ExitCode
from durable_agent_team.cli.output import print_json, print_line

app = typer.Typer(rich_markup_mode=None)


@app.command()
def models(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="One model.")] = None,
    json: Annotated[bool, typer.Option("--json", help="JSON Lines: one model a line.")] = False,
) -> int:
    """Print the models that can be called. With upstream, context, every price, and dialect.

    From the gateway's list (`GET /v1/models`); NAME may also be one that is not in it.
    """
    from durable_agent_team.cli.provider_catalog import CatalogUnavailable
    from durable_agent_team.cli.provider_models import read_models
    from durable_agent_team.cli.ui.models_table import model_text, models_table
    from durable_agent_team.process.settings import SettingsError, StackNotUp, client_settings

    try:
        found = read_models(client_settings().atxp_llm_url, name)
    except SettingsError as error:
        raise CommandError(ExitCode.INVALID_INPUT, f"settings:\n{error}") from error
    except StackNotUp as error:
        raise CommandError(ExitCode.NO_ANSWER, str(error)) from error
    except CatalogUnavailable as error:
        remedy = "start the gateway with `make up`, or set ATXP_LLM_URL"
        raise CommandError(ExitCode.NO_ANSWER, f"{error} ({remedy})") from error
    if json:
        for each in found:
            print_json(each)
    else:
        print_line(models_table(found) if name is None else model_text(found[0]))
    return ExitCode.DONE
