"""A team's models in the gateway's list: their prices and context windows."""

import difflib
from collections.abc import Iterator, Mapping

from durable_agent_team.contracts.model_catalog import ModelCatalog, ModelPrice
from durable_agent_team.contracts.names import ORCHESTRATOR_AGENT, STARTER
from durable_agent_team.contracts.plan import Problem
from durable_agent_team.contracts.run import RunRequest
from durable_agent_team.contracts.team import Caller, Task, Team
from durable_agent_team.contracts.text_ref import Text
from durable_agent_team.rules.bounds import estimated_tokens
from durable_agent_team.rules.programs import run_of
from durable_agent_team.rules.prompts import task_prompt_bytes


def price_of(catalog: ModelCatalog, model: str) -> ModelPrice | None:
    return next((each for each in catalog.models if each.model == model), None)


def context_of(caller: Caller, price: ModelPrice | None) -> int | None:
    """The context window in tokens: the team file's figure, else the gateway's."""
    return caller.context_tokens or (price.context_tokens if price else None)


def calls_orchestrator(team: Team) -> bool:
    """Whether a run can ever call the orchestrator: it plans, reviews, or writes the answer."""
    return not team.tasks or team.review_rounds > 0 or team.final == "orchestrator"


def callers(team: Team) -> dict[str, Caller]:
    """The orchestrator and all agents, the orchestrator first."""
    return {ORCHESTRATOR_AGENT: team.orchestrator, **team.agents}


def payers(team: Team) -> dict[str, Caller]:
    """Everyone who needs an account: all callers, without an orchestrator that is never called."""
    everyone = callers(team)
    return everyone if calls_orchestrator(team) else {**team.agents}


def caller_of(team: Team, name: str) -> Caller:
    """The orchestrator or an agent, by name. The name must be known."""
    return team.orchestrator if name == ORCHESTRATOR_AGENT else team.agents[name]


def model_of(caller: Caller, catalog: ModelCatalog) -> str:
    """The caller's own model, or the worker's default."""
    return caller.model or catalog.default_model or ""


def models_of(team: Team) -> tuple[str, ...]:
    """Every model that the team file names, each once."""
    named = [name for each in callers(team).values() for name in (each.model, each.fallback_model)]
    return tuple(dict.fromkeys(name for name in named if name is not None))


def field_of(name: str) -> str:
    """The place of the orchestrator or of an agent in the team file."""
    return name if name == ORCHESTRATOR_AGENT else f"agents.{name}"


def model_problems(team: Team, catalog: ModelCatalog) -> Iterator[Problem]:
    """Models that are missing, or that the gateway would refuse because they have no price."""
    needed = payers(team)
    for name, caller in callers(team).items():
        model = caller.model or catalog.default_model
        if caller.model is None and run_of(caller) is not None:
            pass  # it names its own, or asks for none
        elif model is None and name in needed:
            yield Problem(
                field=f"{field_of(name)}.model",
                what="missing, and there is no default",
                remedy="name a model, or set DEFAULT_MODEL for the worker",
            )
        elif caller.model is not None or (model is not None and name in needed):
            yield from _uncallable(f"{field_of(name)}.model", model or "", caller, catalog)
        if caller.fallback_model is not None:
            field = f"{field_of(name)}.fallback_model"
            yield from _uncallable(field, caller.fallback_model, caller, catalog)


def timeout_problems(team: Team, catalog: ModelCatalog) -> Iterator[Problem]:
    """Timeouts above the gateway's limit for a call: it would end the call earlier, and the
    provider may have billed it by then. None where the endpoint reports no limit. The default is
    not refused: no one chose it."""
    most = catalog.max_call_seconds
    for name, caller in callers(team).items():
        given = "timeout_seconds" in caller.model_fields_set
        makes_calls = run_of(caller) is not None  # each with a time of its own
        if given and most is not None and caller.timeout_seconds > most and not makes_calls:
            yield Problem(
                field=f"{field_of(name)}.timeout_seconds",
                value=f"{caller.timeout_seconds:g}",
                what=f"the gateway ends a call after {most:g} s, and it may be billed by then",
                remedy=f"lower it to {most:g} at most, or raise GATEWAY_MAX_CALL_SECONDS at the"
                " gateway",
            )


def models_file_lines(model: str) -> str:
    """What to write into the gateway's models file so that `model` can be called. Its prices are no
    numbers: nobody pastes a wrong one."""
    name = model.replace("\\", "\\\\").replace('"', '\\"')
    price = '"?"  # your provider\'s price'
    return f'[models."{name}"]\ninput_usd_per_million = {price}\noutput_usd_per_million = {price}'


def cannot_chat(model: str, caller: Caller, catalog: ModelCatalog) -> bool:
    """Whether a call of the model would be refused, since it makes embeddings. What a program does
    with its model is its own matter."""
    price = price_of(catalog, model)
    return price is not None and price.kind == "embedding" and run_of(caller) is None


def _uncallable(field: str, model: str, caller: Caller, catalog: ModelCatalog) -> Iterator[Problem]:
    if cannot_chat(model, caller, catalog):
        yield Problem(
            field=field,
            value=model,
            what="makes embeddings, and cannot chat",
            remedy=f"name a model that answers: `{STARTER} models` lists them",
        )
    else:
        yield from _unpriced(field, model, catalog)


def _unpriced(field: str, model: str, catalog: ModelCatalog) -> Iterator[Problem]:
    if not catalog.priced or price_of(catalog, model) is not None:
        return
    told = next((each for each in catalog.unavailable if each.model == model), None)
    if told is not None and told.needs:
        yield Problem(
            field=field,
            value=model,
            what=f"cannot be called: it needs {told.needs}",
            remedy=f"set {told.needs} in the gateway's .env, and start the gateway again",
        )
        return
    near = told.nearest if told is not None else nearest_models(model, catalog)
    known = "" if near else f", which knows: {', '.join(each.model for each in catalog.models)}"
    proposal = f"did you mean {' or '.join(near)}? Otherwise " if near else ""
    yield Problem(
        field=field,
        value=model,
        what=f"has no price at the gateway{known}"[:2000],
        remedy=f"{proposal}add these lines to its models file, with your provider's prices in USD"
        f" per million tokens\n{models_file_lines(model)}\n",
    )


def nearest_models(model: str, catalog: ModelCatalog) -> tuple[str, ...]:
    """Names in the catalog that look like it, the likeliest first."""
    names = {each.model.lower(): each.model for each in catalog.models}
    found = difflib.get_close_matches(model.lower(), names, 3, 0.6)
    return tuple(names[each] for each in found)


def checkable_tasks(request: RunRequest) -> Iterator[Task]:
    """Tasks whose agent and documents are known: others have a problem of their own already."""
    team = request.team
    for task in team.tasks:
        agent = team.agents.get(task.agent)
        if agent is not None and all(
            name in request.texts for name in (*agent.inputs, *task.inputs)
        ):
            yield task


def context_problems(request: RunRequest, catalog: ModelCatalog) -> Iterator[Problem]:
    """Tasks whose known inputs leave too little of the context for an answer."""
    for task in checkable_tasks(request):
        yield from context_problem(request.team, task, request.texts, catalog)


def context_problem(
    team: Team, task: Task, documents: Mapping[str, Text], catalog: ModelCatalog
) -> Iterator[Problem]:
    """At most one. The agent and the documents must be there."""
    agent = team.agents[task.agent]
    if run_of(agent) is not None:  # it makes prompts of its own
        return
    price = price_of(catalog, model_of(agent, catalog))
    context = context_of(agent, price)
    prompt = estimated_tokens(task_prompt_bytes(team, task, documents))
    if context is not None and prompt + agent.max_tokens > context:
        yield Problem(
            field=f"tasks.{task.id}.inputs",
            value=f"about {prompt} tokens",
            what=f"with max_tokens {agent.max_tokens} that is {prompt + agent.max_tokens},"
            f" above the model's context of {context} tokens",
            remedy="shorten the inputs, lower max_tokens, or use a model with more context",
        )
