"""Each agent's limit in USD: its own `budget_usd`, or its share of the team's."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from durable_agent_team.contracts.call import Source
from durable_agent_team.contracts.model_catalog import ModelCatalog
from durable_agent_team.contracts.names import ORCHESTRATOR_AGENT
from durable_agent_team.contracts.run import RunRequest
from durable_agent_team.contracts.team import Team
from durable_agent_team.contracts.text_ref import Text
from durable_agent_team.rules.bounds import prompt_bytes, worst_case_usd
from durable_agent_team.rules.catalog import caller_of, callers, model_of, payers, price_of
from durable_agent_team.rules.programs import run_of
from durable_agent_team.rules.prompts import task_prompt_bytes
from durable_agent_team.rules.shares import shares

ZERO = Decimal(0)


def budgets_usd(
    team: Team,
    sources: Mapping[str, Text],
    catalog: ModelCatalog,
    *,
    idle_orchestrator: bool = False,
) -> dict[str, Decimal]:
    """The limit of every account of a run, the orchestrator's first.

    An orchestrator that is never called has none, and no share of the team's budget; with
    `idle_orchestrator` it has, as in runs that began with an earlier version.

    Agents without a `budget_usd` share what the others leave of the team's, in proportion to the
    worst case of their first calls: in USD if the price of each of them is known, else in tokens
    for all of them. An agent whose model is free needs nothing and gets a micro-dollar, since a
    limit is above zero. The team must have passed validation.

    The worst case of a program is not known, so one without a `budget_usd` gets as much as if all
    agents without one shared equally; the others share the rest.
    """
    everyone = callers(team) if idle_orchestrator else payers(team)
    given = {name: each.budget_usd for name, each in everyone.items() if each.budget_usd}
    left = (team.budget_usd or ZERO) - sum(given.values(), ZERO)
    sharers = [name for name in everyone if name not in given]
    programs = [name for name in sharers if run_of(everyone[name]) is not None]
    equal = shares(left, dict.fromkeys(sharers, Decimal(1))) if programs else {}
    known = {**given, **{name: equal[name] for name in programs}}
    left -= sum((equal[name] for name in programs), ZERO)
    names = [name for name in sharers if name not in known]
    prompts = _prompts(team, names, sources, with_documents=catalog.plans_with_room)
    shared = shares(left, _weights_usd(team, prompts, catalog) or _weights_tokens(team, prompts))
    return {name: known.get(name) or shared[name] for name in everyone}


def known_budgets_usd(request: RunRequest, catalog: ModelCatalog) -> dict[str, Decimal | None]:
    """The limits that the run will set. None for a share of the team's budget, where it depends
    on a default model that only the worker knows; and where there is no limit at all."""
    team = request.team
    own = {name: each.budget_usd for name, each in payers(team).items()}
    sharers = [each for each in payers(team).values() if each.budget_usd is None]
    models = [model_of(each, catalog) for each in sharers if run_of(each) is None]
    if team.budget_usd is None or not all(models):
        return own
    return {**own, **budgets_usd(team, request.texts, catalog)}


def _prompts(
    team: Team, names: Sequence[str], sources: Mapping[str, Text], *, with_documents: bool
) -> dict[str, list[int]]:
    """Bytes of the first prompts of each agent's tasks; where none is known, of its instructions
    and of the documents that it always reads."""
    sizes: dict[str, list[int]] = {name: [] for name in names}
    for task in team.tasks if sizes else ():
        if task.agent in sizes:
            sizes[task.agent].append(task_prompt_bytes(team, task, sources))
    for name, own in sizes.items():
        if name == ORCHESTRATOR_AGENT or not team.tasks:
            reads = team.agents[name].inputs if with_documents and name in team.agents else ()
            documents = [Source.of(each, sources[each]) for each in dict.fromkeys(reads)]
            own.append(prompt_bytes([caller_of(team, name).instructions], documents))
    return sizes


def _weights_usd(
    team: Team, prompts: Mapping[str, list[int]], catalog: ModelCatalog
) -> dict[str, Decimal] | None:
    """None if the price of any of them is unknown: dollars and tokens cannot be compared."""
    weights = {}
    for name, sizes in prompts.items():
        caller = caller_of(team, name)
        price = price_of(catalog, model_of(caller, catalog))
        costs = [worst_case_usd(size, caller.max_tokens, price) for size in sizes]
        known = [cost for cost in costs if cost is not None]
        if len(known) < len(costs):
            return None
        weights[name] = sum(known, ZERO)
    return weights


def _weights_tokens(team: Team, prompts: Mapping[str, list[int]]) -> dict[str, Decimal]:
    """The tokens of prompt and answer; a byte of the prompt counts as a token."""
    return {
        name: Decimal(sum(size + caller_of(team, name).max_tokens for size in sizes))
        for name, sizes in prompts.items()
    }
