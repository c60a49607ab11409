"""`validate`: a team file, looked at from all sides before anything is started."""

from collections.abc import Sequence
from pathlib import Path

from durable_agent_team.cli.exit_codes import Code, CommandError
from durable_agent_team.cli.loading import Finding, findings, parse_inputs
from durable_agent_team.cli.output import note, say, say_json
from durable_agent_team.cli.provider_catalog import CatalogUnavailable, Provider, read_provider
from durable_agent_team.contracts.run import RunRequest
from durable_agent_team.contracts.spend import ModelCatalog
from durable_agent_team.process.settings import SettingsError, client_settings
from durable_agent_team.rules.guarantees import REMEDY, broken_promises


def validate(path: Path, goal: str | None, inputs: Sequence[str], json: bool) -> int:
    """Prints every finding. Errors end with 2, warnings alone with 0."""
    parse_inputs(inputs)  # what is wrong with them is known before anybody is asked
    provider = ask_provider()
    catalog = provider.catalog if provider else None
    found, request = findings(path, goal, inputs, catalog)
    kept = [each for each in found if not _worker_decides(each, catalog)]
    if provider is not None:
        kept += _promises(path, provider)
    for each in kept:
        if json:
            say_json(each)
        else:
            say(_line(each))
    if any(_worker_decides(each, catalog) for each in found):
        note("note: agents without `model` get the worker's DEFAULT_MODEL, unknown here")
    wrong = sum(each.level == "error" for each in kept)
    if wrong:
        note(f"{path}: {wrong} error{'s' if wrong != 1 else ''}")
        return Code.INPUT_WRONG
    if not json and request is not None:
        say(_good(path, request, catalog))
    return Code.DONE


def ask_provider() -> Provider | None:
    """None, and a note that says so, where the gateway cannot be asked."""
    try:
        settings = client_settings()
        return read_provider(settings.atxp_llm_url, settings.default_model)
    except SettingsError as error:
        raise CommandError(Code.INPUT_WRONG, f"settings:\n{error}") from error
    except CatalogUnavailable as error:
        note(
            f"note: models, prices, context sizes and promises were not checked: {error}"
            " (start the gateway with `make up`, or set ATXP_LLM_URL)"
        )
        return None


def _promises(path: Path, provider: Provider) -> list[Finding]:
    """What the team will have to do without, with this provider."""
    return [
        Finding(
            level="warning",
            file=str(path),
            line=None,
            field="ATXP_LLM_URL",
            value=name,
            what=f"not promised by this provider: {what}",
            remedy=REMEDY,
        )
        for name, what in broken_promises(provider.capabilities).items()
    ]


def _worker_decides(finding: Finding, catalog: ModelCatalog | None) -> bool:
    """A missing model is only wrong where the worker has no default either."""
    unknown = catalog is not None and catalog.default_model is None
    return unknown and finding.field.endswith("model") and not finding.value


def _line(found: Finding) -> str:
    where = found.file if found.line is None else f"{found.file}:{found.line}"
    value = f" = {found.value}" if found.value else ""
    remedy, *to_paste = found.remedy.splitlines() or [""]
    told = f"{where}: {found.level}: {found.field}{value}: {found.what}"
    told += f" ({remedy})" if remedy else ""
    return "\n".join([told, *to_paste])


def _count(number: int, of: str) -> str:
    return f"{number} {of}" if number == 1 else f"{number} {of}s"


def _good(path: Path, request: RunRequest, catalog: ModelCatalog | None) -> str:
    team = request.team
    plan = _count(len(team.tasks), "task") if team.tasks else "planned from the goal"
    models = "models and prices checked" if catalog and catalog.priced else "models not checked"
    if catalog and not catalog.priced:
        models = "the endpoint tells no prices"
    return f"{path}: good: team {team.name}, {_count(len(team.agents), 'agent')}, {plan}; {models}"
