"""The most that a run can cost, task by task, from its file, its inputs and the prices."""

from collections.abc import Sequence
from decimal import Decimal

from durable_agent_team.contracts.base import Message
from durable_agent_team.contracts.call import MAX_REJECTED
from durable_agent_team.contracts.model_catalog import ModelCatalog, ModelPrice
from durable_agent_team.contracts.run import RunRequest
from durable_agent_team.contracts.team import Caller, Team
from durable_agent_team.rules.bounds import BYTES_PER_TOKEN, worst_case_usd
from durable_agent_team.rules.budgets import known_budgets_usd
from durable_agent_team.rules.catalog import context_of, payers, price_of
from durable_agent_team.rules.expected_calls import ExpectedCalls, expected_calls
from durable_agent_team.rules.programs import run_of
from durable_agent_team.rules.repair_room import next_growth, raised_tokens
from durable_agent_team.rules.tools.turn_prompts import turn_prompts

REASONS_BYTES = 6_000
"""Allowed for the reasons that are sent back with an answer that failed its checks, and for the
schema that it did not follow."""


class CallBound(Message):
    """The calls of one task, or of the orchestrator's plan or answer."""

    subject: str
    agent: str
    model: str | None
    calls: int
    """The first and all repairs, again in every review; for a planned team, those of `max_tasks`
    tasks. Of an agent with tools, `max_turns` and all repairs."""
    input_bytes: int
    """The size of the documents that are known now."""
    prompt_bytes: int
    """The size of the first prompt; hand-offs count as full answers, at 4 bytes a token."""
    usd: Decimal | None
    """For all its calls; None where the model has no price."""
    inputs_usd: Decimal | None
    """The part of `usd` that the known inputs cost."""
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
    bounds = tuple(_bound(each, team, catalog) for each in expected_calls(request, catalog))
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


def _bound(expected: ExpectedCalls, team: Team, catalog: ModelCatalog) -> CallBound:
    caller = expected.caller
    if run_of(caller) is not None:
        return _program_bound(expected, team)
    model = caller.model or catalog.default_model
    price = price_of(catalog, model or "")
    prompt = expected.sure_bytes + expected.handoff_bytes
    prompts = turn_prompts(prompt, caller, price)
    calls = expected.times * (len(prompts) + team.max_repairs)
    firsts = [worst_case_usd(each, caller.max_tokens, price) for each in prompts]
    repairs = _repairs_usd(prompts[-1], caller, price, team.max_repairs, grows=expected.grows)
    total = None
    if None not in firsts and repairs is not None:
        total = expected.times * (sum((each for each in firsts if each), Decimal(0)) + repairs)
    inputs = None
    if price is not None and price.input_usd is not None:
        a_million = price.dearest_input_usd or price.input_usd
        inputs = calls * expected.document_bytes * a_million / 1_000_000
    least_tokens = caller.min_tokens or caller.max_tokens
    return CallBound(
        subject=expected.subject,
        agent=expected.agent,
        model=model,
        calls=calls,
        input_bytes=expected.document_bytes,
        prompt_bytes=prompt,
        usd=total,
        inputs_usd=inputs,
        least_usd=worst_case_usd(expected.sure_bytes, least_tokens, price),
    )


def _program_bound(expected: ExpectedCalls, team: Team) -> CallBound:
    """Nobody knows which calls a program will make: only its account's limit bounds them."""
    return CallBound(
        subject=expected.subject,
        agent=expected.agent,
        model=expected.caller.model,
        calls=expected.times * (1 + team.max_repairs),
        input_bytes=expected.document_bytes,
        prompt_bytes=expected.sure_bytes + expected.handoff_bytes,
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
