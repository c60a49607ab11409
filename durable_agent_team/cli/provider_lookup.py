"""What the gateway says of its models and guarantees, as a command needs it."""

from collections.abc import Collection
from pathlib import Path

from durable_agent_team.cli.exit_codes import CommandError, ExitCode
from durable_agent_team.cli.output import print_note
from durable_agent_team.cli.provider_catalog import CatalogUnavailable, Provider, read_provider
from durable_agent_team.process.settings import SettingsError, StackNotUp, client_settings
from durable_agent_team.rules.catalog import models_of
from durable_agent_team.team_files.team_file import TeamFileError, load_team

NOT_CHECKED = "note: models, prices, context sizes and guarantees were not checked"


def has_store() -> bool:
    """Whether large texts leave the messages to Temporal. A stack that is not up will have one."""
    try:
        return client_settings().external_storage != "none"
    except StackNotUp:
        return True
    except SettingsError:
        return False


def named_models(team: Path) -> tuple[str, ...]:
    """Models that a team file names; none where it cannot be read, which its check reports."""
    try:
        return models_of(load_team(team).team)
    except TeamFileError:
        return ()


def look_up_provider(names: Collection[str] = ()) -> Provider | None:
    """The provider's models, those in `names` among them, and its guarantees. None, with a note
    why, if it does not answer."""
    try:
        settings = client_settings()
        return read_provider(settings.atxp_llm_url, settings.default_model, names)
    except SettingsError as error:
        raise CommandError(ExitCode.INVALID_INPUT, f"settings:\n{error}") from error
    except StackNotUp as error:
        print_note(f"{NOT_CHECKED}: {error}")
    except CatalogUnavailable as error:
        remedy = "(start the gateway with `make up`, or set ATXP_LLM_URL)"
        print_note(f"{NOT_CHECKED}: {error} {remedy}")
    return None
