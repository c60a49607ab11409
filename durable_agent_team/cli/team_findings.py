"""Every error and warning that can be found in a team file before a run."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

from durable_agent_team.cli.json_output import Finding
from durable_agent_team.cli.provider_catalog import Provider
from durable_agent_team.cli.request_file import file_problems, parse_inputs
from durable_agent_team.contracts.model_catalog import ModelCatalog
from durable_agent_team.contracts.plan import Problem
from durable_agent_team.contracts.program_kinds import RemoteRun
from durable_agent_team.contracts.run import RunRequest
from durable_agent_team.contracts.team import Team
from durable_agent_team.process.settings import given_values
from durable_agent_team.providers.url_secrets import without_url_secrets
from durable_agent_team.rules.budgets import known_budgets_usd
from durable_agent_team.rules.catalog import callers, field_of, model_of, price_of
from durable_agent_team.rules.counts import counted
from durable_agent_team.rules.estimate import CallBound, estimate
from durable_agent_team.rules.guarantees import REMEDY, broken_promises
from durable_agent_team.rules.programs import environment_of, place_of, programs_of, run_of
from durable_agent_team.rules.size_limits import size_problems, size_warnings
from durable_agent_team.rules.validation import team_problems, team_warnings
from durable_agent_team.team_files.python_functions import function_warnings
from durable_agent_team.team_files.team_file import (
    FileProblem,
    TeamFileError,
    in_team_file,
    load_team,
)

PROMISED = (
    "  promised: stays within its budget_usd; is not charged again for what it has paid when it is"
    " started again; is killed at timeout_seconds; its answer is checked"
)
NOT_PROMISED = (
    "  not promised: what it costs, below its budget_usd; that its tools run only once: they run"
    " again when it is started again, unless they use `once`"
)

OF_REMOTE = (
    "  of an agent elsewhere (a2a): at timeout_seconds its task is cancelled, if its server can do"
    " that; without send_key, what it pays elsewhere is not known here"
)


@dataclass(frozen=True)
class TeamCheck:
    """What was found in a team file."""

    findings: list[Finding]
    request: RunRequest | None
    """None if the file cannot be read."""
    catalog: ModelCatalog | None
    default_model_unknown: bool
    """Agents without a model were not checked: only the worker knows which one they get."""


def check_team(
    path: Path,
    goal: str | None,
    inputs: Sequence[str],
    provider: Provider | None,
    has_store: bool,
) -> TeamCheck:
    """Checks a team file; models and prices only with a provider. Without a store of large texts,
    documents have to fit into the messages to Temporal."""
    catalog = provider.catalog if provider else None
    found, request = _findings(path, goal, inputs, catalog, has_store)
    kept = [each for each in found if not _is_default_model(each, catalog)]
    unknown = len(kept) < len(found)
    if provider is not None:
        kept += _missing_guarantees(path, provider)
    return TeamCheck(kept, request, catalog, unknown)


def _findings(
    path: Path,
    goal: str | None,
    inputs: Sequence[str],
    catalog: ModelCatalog | None,
    has_store: bool,
) -> tuple[list[Finding], RunRequest | None]:
    try:
        request = load_team(path, goal, parse_inputs(inputs))
    except TeamFileError as error:
        return [_finding("error", each) for each in file_problems(path, error, catalog)], None
    problems, warnings = team_problems(request, catalog), team_warnings(request)
    problems += size_problems(request, has_store)
    warnings += function_warnings(request.team)
    warnings += _private_notify_url(request.team)
    if not team_problems(request):  # estimates need a sound graph
        warnings += size_warnings(request)
        warnings += _insufficient_budgets(request, catalog) if catalog is not None else []
    return [
        *(_finding("error", each) for each in in_team_file(path, problems)),
        *(_finding("warning", each) for each in in_team_file(path, warnings)),
    ], request


def _private_notify_url(team: Team) -> list[Problem]:
    """An address that the worker refuses by default: the run goes on, and nobody is notified. What
    a name stands for is looked up by the worker alone."""
    host = (urlsplit(team.notify_url or "").hostname or "").rstrip(".")
    try:
        is_private = not ipaddress.ip_address(host).is_global
    except ValueError:
        is_private = host == "localhost" or host.endswith(".localhost")
    allowed = given_values().get("NOTIFY_PRIVATE_ADDRESSES", "").lower() in (
        "true",
        "1",
        "yes",
        "on",
    )
    if not is_private or allowed:
        return []
    return [
        Problem(
            field="notify_url",
            what=f"{host} is not a public address, and is called by no worker without"
            " NOTIFY_PRIVATE_ADDRESSES=true",
            remedy="use a public one, or set that for the worker",
        )
    ]


def _insufficient_budgets(request: RunRequest, catalog: ModelCatalog) -> list[Problem]:
    """Agents whose budget is below the bound of one of their calls.

    The gateway's own bound is mostly lower: it may pay for some of them, the others park at once.
    """
    highest: dict[str, CallBound] = {}
    for each in estimate(request, catalog).calls:
        known = highest.get(each.agent)
        if each.calls and each.least_usd and (not known or each.least_usd > _least(known)):
            highest[each.agent] = each
    own = {name: each.budget_usd for name, each in callers(request.team).items()}
    return [
        _insufficient(name, budget, highest[name], shared=own[name] is None)
        for name, budget in known_budgets_usd(request, catalog).items()
        if name in highest and budget is not None and budget < _least(highest[name])
    ]


def _insufficient(name: str, budget: Decimal, bound: CallBound, *, shared: bool) -> Problem:
    """`shared`: the budget is a share of the team's."""
    what = f"may not pay one call ({bound.subject}: up to {_least(bound)} USD)"
    remedy = "raise it, or lower max_tokens"
    if shared:
        what = f"its share of the team's budget_usd {what}"
        remedy = "raise the team's, give the agent its own, or lower max_tokens"
    return Problem(
        field=f"{field_of(name)}.budget_usd", value=str(budget), what=what, remedy=remedy
    )


def _least(bound: CallBound) -> Decimal:
    return bound.least_usd or Decimal(0)


def _missing_guarantees(path: Path, provider: Provider) -> list[Finding]:
    """A warning for each guarantee that this provider does not give."""
    return [
        Finding(
            level="warning",
            file=str(path),
            line=None,
            field="ATXP_LLM_URL",
            value=name,
            what=f"not guaranteed by this provider: {what}",
            remedy=REMEDY,
        )
        for name, what in broken_promises(provider.capabilities).items()
    ]


def _is_default_model(finding: Finding, catalog: ModelCatalog | None) -> bool:
    """Whether the finding is a missing model, which only the worker's default can decide."""
    unknown = catalog is not None and catalog.default_model is None
    return unknown and finding.field.endswith("model") and not finding.value


def _finding(level: str, found: FileProblem) -> Finding:
    each = found.problem
    return Finding(
        level=level,
        file=found.file,
        line=found.line,
        field=each.field,
        value=each.value,
        what=each.what,
        remedy=each.remedy,
    )


def finding_text(found: Finding) -> str:
    """A finding on one line; below it the lines to paste, if its remedy has some."""
    place = found.file if found.line is None else f"{found.file}:{found.line}"
    value = f" = {found.value}" if found.value else ""
    remedy, *to_paste = found.remedy.splitlines() or [""]
    text = f"{place}: {found.level}: {found.field}{value}: {found.what}"
    text += f" ({remedy})" if remedy else ""
    return "\n".join([text, *to_paste])


def routes_text(found: TeamCheck) -> str | None:
    """Which model goes to which upstream; None where the endpoint does not say."""
    if found.request is None or found.catalog is None:
        return None
    catalog = found.catalog
    everyone = [
        each for each in callers(found.request.team).values() if each.model or run_of(each) is None
    ]
    named = [model_of(each, catalog) for each in everyone]
    named += [each.fallback_model for each in everyone if each.fallback_model]
    priced = (price_of(catalog, name) for name in dict.fromkeys(named))
    routes = [f"{each.model} on {each.upstream}" for each in priced if each and each.upstream]
    return f"models: {', '.join(routes)}" if routes else None


def programs_text(found: TeamCheck) -> str | None:
    """Which agents are programs, where, and what is promised of them; None where there are none."""
    programs = programs_of(found.request.team) if found.request is not None else {}
    if not programs:
        return None
    lines = [f"programs: {len(programs)}"]
    for name, run in programs.items():
        environment = environment_of(run)
        made = f", environment {environment}" if environment else ""
        lines.append(f"  {name}: {without_url_secrets(place_of(run))}{made}")
    remote = [OF_REMOTE] if any(isinstance(run, RemoteRun) for run in programs.values()) else []
    return "\n".join([*lines, PROMISED, NOT_PROMISED, *remote])


def valid_text(path: Path, found: TeamCheck) -> str:
    """The line for a file without errors: what is in it, and what was checked."""
    assert found.request is not None
    team, catalog = found.request.team, found.catalog
    plan = counted(len(team.tasks), "task") if team.tasks else "planned from the goal"
    models = "models and prices checked" if catalog and catalog.priced else "models not checked"
    if catalog and not catalog.priced:
        models = "the endpoint reports no prices"
    return f"{path}: good: team {team.name}, {counted(len(team.agents), 'agent')}, {plan}; {models}"
