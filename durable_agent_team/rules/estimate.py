"""The most that a team can cost, task by task, from its file, its inputs and the prices."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from durable_agent_team.contracts.base import Message
from durable_agent_team.contracts.call import MAX_REJECTED
from durable_agent_team.contracts.model_catalog import ModelCatalog, ModelPrice
from durable_agent_team.contracts.names import ORCHESTRATOR_AGENT
from durable_agent_team.contracts.plan import Plan
from durable_agent_team.contracts.run import RunRequest, TaskStatus
from durable_agent_team.contracts.team import Caller, Task, Team
from durable_agent_team.rules.bounds import (
    BYTES_PER_TOKEN,
    FENCE_BYTES,
    prompt_bytes,
    source_bytes,
    worst_case_usd,
)
from durable_agent_team.rules.briefing import Briefing, plan_form
from durable_agent_team.rules.budgets import budgets_usd
from durable_agent_team.rules.catalog import context_of, model_of, payers, price_of
from durable_agent_team.rules.planning import plan_ask, plan_schema
from durable_agent_team.rules.planning_room import most_added, planning_tokens
from durable_agent_team.rules.programs import run_of
from durable_agent_team.rules.prompts import (
    FINAL_ASK,
    orchestrator_text,
    system_text,
    task_prompt_bytes,
    task_sources,
)
from durable_agent_team.rules.repair_room import next_growth, raised_tokens
from durable_agent_team.rules.review import review_ask, review_schema
from durable_agent_team.rules.tools.turn_prompts import turn_prompts

REASONS_BYTES = 6_000
"""Allowed for the reasons that are sent back with an answer that failed its checks, and for the
schema that it did not follow."""
FAILED_BYTES = 100
"""Allowed for a task's failure in the prompt of a review."""
UNKNOWN_TASK_BYTES = 1_000
"""Allowed for a task in the prompt of a review that is not known yet."""


class CallBound(Message):
    """The calls of one task, or of the orchestrator's plan or answer."""

    subject: str
    agent: str
    model: str | None
    calls: int
    """The first and all repairs, again in every review; for a planned team, those of `max_tasks`
    tasks. Of an agent with tools, `max_turns` and all repairs."""
    input_bytes: int
    """Of the documents that are known now."""
    prompt_bytes: int
    """Of the first prompt; hand-offs of other tasks count as full answers, at 4 bytes a token."""
    usd: Decimal | None
    """For all its calls; None where the model has no price."""
    inputs_usd: Decimal | None
    """What of that is for the known inputs."""
    program: bool = False
    """The agent is a program: its calls are not known, and end at its budget."""
    least_usd: Decimal | None
    """What must be free for the first call to start: with `min_tokens`, if set, and without the
    hand-offs of other tasks."""


class AgentBound(Message):
    agent: str
    usd: Decimal | None
    budget_usd: Decimal | None
    """The limit of its account: its own, or its share of the team's budget."""
    most_usd: Decimal | None
    """The smaller of the two: an account refuses what exceeds its limit."""


class Estimate(Message):
    """What `estimate --json` prints."""

    team: str
    calls: tuple[CallBound, ...]
    agents: tuple[AgentBound, ...]
    most_usd: Decimal | None
    planned: bool
    """The orchestrator plans up to `max_tasks` tasks; their agents are not known yet."""


def estimate(request: RunRequest, catalog: ModelCatalog) -> Estimate:
    """The worst case: every answer as long as allowed, and every repair needed, with all the room
    that it may get after an answer that was cut off. Hand-offs count with `max_tokens`."""
    team = request.team
    bounds = (
        *_planning(request, catalog),
        *_working(request, catalog),
        *_reviewing(request, catalog),
        *_final(request, catalog),
    )
    budgets = known_budgets_usd(request, catalog)
    of_agent: dict[str, list[CallBound]] = {name: [] for name in payers(team)}
    for each in bounds:
        of_agent[each.agent].append(each)
    agents = tuple(_agent(name, own, budgets[name]) for name, own in of_agent.items())
    return Estimate(
        team=team.name,
        calls=bounds,
        agents=agents,
        most_usd=_most(team, agents),
        planned=not team.tasks,
    )


def _planning(request: RunRequest, catalog: ModelCatalog) -> Iterator[CallBound]:
    team = request.team
    if not team.tasks:
        briefing = _briefing(request, catalog)
        texts = [
            orchestrator_text(team),
            request.effective_goal,
            plan_ask(briefing),
            str(plan_schema(briefing)),
        ]
        sure = prompt_bytes(texts)
        yield _bound("plan", ORCHESTRATOR_AGENT, _planner(briefing), team, catalog, sure, 0)


def _planner(briefing: Briefing) -> Caller:
    """The orchestrator as it plans and reviews: it may write more then than its default. For a call
    to start, its own `max_tokens` must be free."""
    own = briefing.team.orchestrator
    if briefing.max_tokens is None:
        return own
    least = own.min_tokens or own.max_tokens
    return own.model_copy(update={"max_tokens": briefing.max_tokens, "min_tokens": least})


def _briefing(request: RunRequest, catalog: ModelCatalog) -> Briefing:
    """As the run will make it, with the limits as the money that is left."""
    known = known_budgets_usd(request, catalog)
    available_usd = known.get(ORCHESTRATOR_AGENT)
    return Briefing(
        team=request.team,
        goal=request.effective_goal,
        form=plan_form(request.team, catalog),
        documents=request.texts,
        catalog=catalog,
        left_usd={name: usd for name, usd in known.items() if usd is not None},
        max_tokens=planning_tokens(request.team, catalog, available_usd),
        most_added=most_added(request.team, catalog),
    )


def _working(request: RunRequest, catalog: ModelCatalog) -> Iterator[CallBound]:
    team = request.team
    lengths = _handoff_bytes(team)
    for task in team.tasks:
        agent = team.agents[task.agent]
        sources = task_sources(team, task, request.texts, {})
        known = sum(source_bytes(each) for each in sources)
        sure = task_prompt_bytes(team, task, request.texts)
        handed = _handed(lengths, task.depends_on)
        times = 1 + team.review_rounds
        grows = task.checks.complete
        yield _bound(
            task.id, task.agent, agent, team, catalog, sure, known, handed, times, grows=grows
        )
    subject, many = "(planned)", team.max_tasks * (1 + team.review_rounds)
    if team.tasks:
        # Later reviews may redo what earlier ones added.
        rounds = team.review_rounds
        most = most_added(team, catalog) * rounds * (rounds + 1) // 2
        subject, many = "(added)", min(most, team.max_tasks * rounds)
    others = _all(team, catalog) - _longest(team)
    asks = (_briefing(request, catalog).max_tokens or 0, team.orchestrator.max_tokens)
    for name, agent in team.agents.items() if many else ():
        own = Task(id="planned", agent=name, ask="x")
        sources = task_sources(team, own, request.texts, {})
        known = sum(source_bytes(each) for each in sources)
        # The plan, with all asks in it, is one answer of the orchestrator's; so is a review.
        handed = max(asks) * BYTES_PER_TOKEN + others
        sure = prompt_bytes([system_text(agent)], sources)
        yield _bound(subject, name, agent, team, catalog, sure, known, handed, many)


def _reviewing(request: RunRequest, catalog: ModelCatalog) -> Iterator[CallBound]:
    """Every round gets every hand-off and the status of every task."""
    team = request.team
    if team.review_rounds:
        texts = [orchestrator_text(team), request.effective_goal]
        status = {task.id: TaskStatus.DONE for task in team.tasks}
        briefing = _briefing(request, catalog)
        texts.append(str(review_schema(briefing, status, team.result)))
        listed = team.max_tasks * UNKNOWN_TASK_BYTES
        if team.tasks:
            texts.append(review_ask(briefing, status, Plan(tasks=team.tasks), {}))
            listed = (
                len(team.tasks) * FAILED_BYTES + _most_added(team, catalog) * UNKNOWN_TASK_BYTES
            )
        else:
            texts.append(plan_ask(briefing))  # what a review says of the team is in it
        sure, more, times = prompt_bytes(texts), listed + _all(team, catalog), team.review_rounds
        planner = _planner(briefing)
        yield _bound("review", ORCHESTRATOR_AGENT, planner, team, catalog, sure, 0, more, times)


def _final(request: RunRequest, catalog: ModelCatalog) -> Iterator[CallBound]:
    team = request.team
    if team.final == "handoff":
        return
    results = [team.result] if team.result else _sinks(team)
    handed = _handed(_handoff_bytes(team), [each for each in results if each])
    if not team.tasks:
        handed = _all(team, catalog)
    elif team.review_rounds:
        handed += _most_added(team, catalog) * _longest(team)
    sure = prompt_bytes([orchestrator_text(team), request.effective_goal, FINAL_ASK])
    yield _bound("answer", ORCHESTRATOR_AGENT, team.orchestrator, team, catalog, sure, 0, handed)


def _bound(
    subject: str,
    agent: str,
    caller: Caller,
    team: Team,
    catalog: ModelCatalog,
    sure: int,
    known: int,
    handed: int = 0,
    times: int = 1,
    *,
    grows: bool = True,
) -> CallBound:
    """`sure` bytes are in the prompt whatever happens, `known` of them documents; `handed` is the
    most that other answers may add. `grows`: the repair of an answer that was cut off has more
    room."""
    model = caller.model or catalog.default_model
    prompt = sure + handed
    if run_of(caller) is not None:
        executions = times * (1 + team.max_repairs)
        return _program_bound(subject, agent, caller, executions, known, prompt)
    price = price_of(catalog, model or "")
    prompts = turn_prompts(prompt, caller, price)
    firsts = [worst_case_usd(each, caller.max_tokens, price) for each in prompts]
    repairs = _repairs_usd(prompts[-1], caller, price, team.max_repairs, grows=grows)
    total = None
    if None not in firsts and repairs is not None:
        total = times * (sum((each for each in firsts if each), Decimal(0)) + repairs)
    calls = times * (len(prompts) + team.max_repairs)
    inputs = None
    if price is not None and price.input_usd is not None:
        a_million = price.dearest_input_usd or price.input_usd
        inputs = calls * known * a_million / 1_000_000
    return CallBound(
        subject=subject,
        agent=agent,
        model=model,
        calls=calls,
        input_bytes=known,
        prompt_bytes=prompt,
        usd=total,
        inputs_usd=inputs,
        least_usd=worst_case_usd(sure, caller.min_tokens or caller.max_tokens, price),
    )


def _program_bound(
    subject: str, agent: str, caller: Caller, executions: int, known: int, prompt: int
) -> CallBound:
    """Nobody knows which calls a program will make: only its account's limit bounds them."""
    return CallBound(
        subject=subject,
        agent=agent,
        model=caller.model,
        calls=executions,
        input_bytes=known,
        prompt_bytes=prompt,
        usd=None,
        inputs_usd=None,
        program=True,
        least_usd=None,
    )


def _repairs_usd(
    prompt: int, caller: Caller, price: ModelPrice | None, repairs: int, *, grows: bool
) -> Decimal | None:
    """Each of them with all the room that it may get, where the account can pay for it."""
    total, growth, tokens = Decimal(0), 1, caller.max_tokens
    for _ in range(repairs):
        failed = max(caller.max_tokens, min(tokens, MAX_REJECTED)) * BYTES_PER_TOKEN
        if grows:
            growth = next_growth(growth, has_answer=False)
            longest = price.max_output_tokens if price else None
            tokens = raised_tokens(caller.max_tokens, growth, (longest, context_of(caller, price)))
        usd = worst_case_usd(prompt + failed + REASONS_BYTES, tokens, price)
        if usd is None:
            return None
        total += usd
    return total


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


def _agent(name: str, bounds: Sequence[CallBound], budget_usd: Decimal | None) -> AgentBound:
    priced = [each.usd for each in bounds if each.usd is not None]
    worst = sum(priced, Decimal(0)) if len(priced) == len(bounds) else None
    limits = [each for each in (worst, budget_usd) if each is not None]
    return AgentBound(
        agent=name,
        usd=worst,
        budget_usd=budget_usd,
        most_usd=min(limits) if limits else None,
    )


def _most(team: Team, agents: Sequence[AgentBound]) -> Decimal | None:
    """The sum of the agents' maxima, at most the team's own budget."""
    each = [agent.most_usd for agent in agents if agent.most_usd is not None]
    whole = sum(each, Decimal(0)) if len(each) == len(agents) else None
    limits = [limit for limit in (whole, team.budget_usd) if limit is not None]
    return min(limits) if limits else None


def _handoff_bytes(team: Team) -> dict[str, int]:
    """Bytes of each task's hand-off where others read it, if its answer is as long as allowed."""
    return {
        task.id: len(task.id) + team.agents[task.agent].max_tokens * BYTES_PER_TOKEN + FENCE_BYTES
        for task in team.tasks
    }


def _handed(lengths: Mapping[str, int], tasks: Sequence[str]) -> int:
    """Bytes of the hand-offs of these tasks."""
    return sum(lengths.get(task, 0) for task in tasks)


def _all(team: Team, catalog: ModelCatalog) -> int:
    """Bytes of all hand-offs that there can be, those of planned and of added tasks too."""
    if not team.tasks:
        return team.max_tasks * _longest(team)
    return sum(_handoff_bytes(team).values()) + _most_added(team, catalog) * _longest(team)


def _most_added(team: Team, catalog: ModelCatalog) -> int:
    """Tasks that reviews have added at the end of the run."""
    return min(most_added(team, catalog) * team.review_rounds, team.max_tasks)


def _longest(team: Team) -> int:
    return max(each.max_tokens for each in team.agents.values()) * BYTES_PER_TOKEN + FENCE_BYTES


def _sinks(team: Team) -> list[str]:
    needed = {each for task in team.tasks for each in task.depends_on}
    return [task.id for task in team.tasks if task.id not in needed]
