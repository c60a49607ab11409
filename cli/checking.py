"""`validate`: a team file, looked at from all sides before anything is started."""

from collections.abc import Sequence
from pathlib import Path

from cli.catalog import CatalogUnavailable, read_catalog
from cli.exits import Code, CommandError
from cli.loading import Finding, findings
from cli.output import note, say, say_json
from contracts.run import RunRequest
from contracts.spend import ModelCatalog
from runtime.settings import SettingsError, client_settings


def validate(path: Path, goal: str | None, inputs: Sequence[str], json: bool) -> int:
    """Prints every finding. Errors end with 2, warnings alone with 0."""
    catalog = _catalog()
    found, request = findings(path, goal, inputs, catalog)
    kept = [each for each in found if not _worker_decides(each, catalog)]
    for each in kept:
        if json:
            say_json(each)
        else:
            say(_line(each))
    if len(kept) < len(found):
        note("note: agents without `model` get the worker's DEFAULT_MODEL, unknown here")
    wrong = sum(each.level == "error" for each in kept)
    if wrong:
        note(f"{path}: {wrong} error{'s' if wrong != 1 else ''}")
        return Code.INPUT_WRONG
    if not json and request is not None:
        say(_good(path, request, catalog))
    return Code.DONE


def _catalog() -> ModelCatalog | None:
    """None, and a note that says so, where the gateway cannot be asked."""
    try:
        settings = client_settings()
        return read_catalog(settings.atxp_llm_url, settings.default_model)
    except SettingsError as error:
        raise CommandError(Code.INPUT_WRONG, f"settings:\n{error}") from error
    except CatalogUnavailable as error:
        note(f"note: models, prices and context sizes were not checked: {error}")
        return None


def _worker_decides(finding: Finding, catalog: ModelCatalog | None) -> bool:
    """A missing model is only wrong where the worker has no default either."""
    unknown = catalog is not None and catalog.default_model is None
    return unknown and finding.field.endswith("model") and not finding.value


def _line(found: Finding) -> str:
    where = found.file if found.line is None else f"{found.file}:{found.line}"
    value = f" = {found.value}" if found.value else ""
    remedy = f" ({found.remedy})" if found.remedy else ""
    return f"{where}: {found.level}: {found.field}{value}: {found.what}{remedy}"


def _good(path: Path, request: RunRequest, catalog: ModelCatalog | None) -> str:
    team = request.team
    plan = f"{len(team.tasks)} tasks" if team.tasks else "planned from the goal"
    models = "models and prices checked" if catalog and catalog.priced else "models not checked"
    if catalog and not catalog.priced:
        models = "the endpoint tells no prices"
    return f"{path}: good: team {team.name}, {len(team.agents)} agents, {plan}; {models}"
