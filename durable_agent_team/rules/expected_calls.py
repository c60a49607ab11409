"""Which calls a run can make, and how long their prompts can be. `estimate.py` prices them."""

from collections.abc import Iterator
from dataclasses import dataclass

from durable_agent_team.contracts.model_catalog import ModelCatalog
from durable_agent_team.contracts.names import ORCHESTRATOR_AGENT
from durable_agent_team.contracts.plan import Plan
from durable_agent_team.contracts.run import RunRequest, TaskStatus
from durable_agent_team.contracts.team import Caller, Task, Team
from durable_agent_team.rules.bounds import (
    BYTES_PER_TOKEN,
    handoff_bytes,
    prompt_bytes,
    source_bytes,
)
from durable_agent_team.rules.briefing import Briefing, plan_form
from durable_agent_team.rules.budgets import known_budgets_usd
from durable_agent_team.rules.planning import plan_ask, plan_schema
from durable_agent_team.rules.planning_room import most_added, planning_tokens
from durable_agent_team.rules.prompts import (
    FINAL_ASK,
    orchestrator_text,
    system_text,
    task_prompt_bytes,
    task_sources,
)
from durable_agent_team.rules.review import review_ask, review_schema

FAILED_BYTES = 100
"""Allowed for a task's failure in the prompt of a review."""
UNKNOWN_TASK_BYTES = 1_000
"""Allowed, in the prompt of a review, for a task that is not known yet."""


@dataclass(frozen=True)
class ExpectedCalls:
    """The calls of one task, or of the orchestrator's plan, reviews or answer."""

    subject: str
    agent: str
    caller: Caller
    sure_bytes: int
    """In the prompt whatever happens: texts and documents that are known now."""
    document_bytes: int = 0
    """The part of `sure_bytes` that is documents."""
    handoff_bytes: int = 0
    """The most that answers of other calls can add to the prompt."""
    times: int = 1
    """How often the call is made, repairs aside."""
    grows: bool = True
    """The repair of an answer that was cut off gets more room."""


def expected_calls(request: RunRequest, catalog: ModelCatalog) -> Iterator[ExpectedCalls]:
    yield from _planning(request, catalog)
    yield from _given_tasks(request)
    yield from _unknown_tasks(request, catalog)
    yield from _reviewing(request, catalog)
    yield from _answering(request, catalog)


def _planning(request: RunRequest, catalog: ModelCatalog) -> Iterator[ExpectedCalls]:
    team = request.team
    if team.tasks:
        return
    briefing = _briefing(request, catalog)
    texts = [
        orchestrator_text(team),
        request.effective_goal,
        plan_ask(briefing),
        str(plan_schema(briefing)),
    ]
    yield ExpectedCalls("plan", ORCHESTRATOR_AGENT, _planner(briefing), prompt_bytes(texts))


def _planner(briefing: Briefing) -> Caller:
    """The orchestrator as it plans and reviews: its answers may be longer than by default. For a
    call to start, only its own `max_tokens` must be free."""
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


def _given_tasks(request: RunRequest) -> Iterator[ExpectedCalls]:
    """The tasks of the team file; each review can have all of them done again."""
    team = request.team
    lengths = _handoff_bytes(team)
    for task in team.tasks:
        sources = task_sources(team, task, request.texts, {})
        yield ExpectedCalls(
            subject=task.id,
            agent=task.agent,
            caller=team.agents[task.agent],
            sure_bytes=task_prompt_bytes(team, task, request.texts),
            document_bytes=sum(source_bytes(each) for each in sources),
            handoff_bytes=sum(lengths.get(each, 0) for each in task.depends_on),
            times=1 + team.review_rounds,
            grows=task.checks.complete,
        )


def _unknown_tasks(request: RunRequest, catalog: ModelCatalog) -> Iterator[ExpectedCalls]:
    """Tasks that a plan or a review can give to any agent: the most for each of them."""
    team = request.team
    if team.tasks:
        # Later reviews may redo what earlier ones added.
        rounds = team.review_rounds
        most = most_added(team, catalog) * rounds * (rounds + 1) // 2
        subject, times = "(added)", min(most, team.max_tasks * rounds)
    else:
        subject, times = "(planned)", team.max_tasks * (1 + team.review_rounds)
    if not times:
        return
    others = _all_handoffs(team, catalog) - _longest_handoff(team)
    # The plan, with all asks in it, is one answer of the orchestrator's; so is a review.
    asks = (_briefing(request, catalog).max_tokens or 0, team.orchestrator.max_tokens)
    for name, agent in team.agents.items():
        sources = task_sources(team, Task(id="planned", agent=name, ask="x"), request.texts, {})
        yield ExpectedCalls(
            subject=subject,
            agent=name,
            caller=agent,
            sure_bytes=prompt_bytes([system_text(agent)], sources),
            document_bytes=sum(source_bytes(each) for each in sources),
            handoff_bytes=max(asks) * BYTES_PER_TOKEN + others,
            times=times,
        )


def _reviewing(request: RunRequest, catalog: ModelCatalog) -> Iterator[ExpectedCalls]:
    """Every round gets every hand-off and the status of every task."""
    team = request.team
    if not team.review_rounds:
        return
    status = {task.id: TaskStatus.DONE for task in team.tasks}
    briefing = _briefing(request, catalog)
    schema = str(review_schema(briefing, status, team.result))
    texts = [orchestrator_text(team), request.effective_goal, schema]
    if team.tasks:
        texts.append(review_ask(briefing, status, Plan(tasks=team.tasks), {}))
        added = _most_added(team, catalog)
        listed = len(team.tasks) * FAILED_BYTES + added * UNKNOWN_TASK_BYTES
    else:
        texts.append(plan_ask(briefing))  # it has what a review says of the team
        listed = team.max_tasks * UNKNOWN_TASK_BYTES
    yield ExpectedCalls(
        subject="review",
        agent=ORCHESTRATOR_AGENT,
        caller=_planner(briefing),
        sure_bytes=prompt_bytes(texts),
        handoff_bytes=listed + _all_handoffs(team, catalog),
        times=team.review_rounds,
    )


def _answering(request: RunRequest, catalog: ModelCatalog) -> Iterator[ExpectedCalls]:
    team = request.team
    if team.final == "handoff":
        return
    if team.tasks:
        lengths = _handoff_bytes(team)
        results = [team.result] if team.result else _sinks(team)
        handed = sum(lengths.get(each, 0) for each in results)
        if team.review_rounds:
            handed += _most_added(team, catalog) * _longest_handoff(team)
    else:
        handed = _all_handoffs(team, catalog)
    yield ExpectedCalls(
        subject="answer",
        agent=ORCHESTRATOR_AGENT,
        caller=team.orchestrator,
        sure_bytes=prompt_bytes([orchestrator_text(team), request.effective_goal, FINAL_ASK]),
        handoff_bytes=handed,
    )


def _handoff_bytes(team: Team) -> dict[str, int]:
    """Bytes of each task's hand-off where others read it, if its answer is as long as allowed."""
    return {
        task.id: handoff_bytes(team.agents[task.agent].max_tokens, task.id) for task in team.tasks
    }


def _all_handoffs(team: Team, catalog: ModelCatalog) -> int:
    """Bytes of all hand-offs that there can be, those of planned and of added tasks too."""
    if not team.tasks:
        return team.max_tasks * _longest_handoff(team)
    given = sum(_handoff_bytes(team).values())
    return given + _most_added(team, catalog) * _longest_handoff(team)


def _most_added(team: Team, catalog: ModelCatalog) -> int:
    """Tasks that reviews have added at the end of the run."""
    return min(most_added(team, catalog) * team.review_rounds, team.max_tasks)


def _longest_handoff(team: Team) -> int:
    return handoff_bytes(max(each.max_tokens for each in team.agents.values()))


def _sinks(team: Team) -> list[str]:
    """Tasks that no other task depends on."""
    needed = {each for task in team.tasks for each in task.depends_on}
    return [task.id for task in team.tasks if task.id not in needed]
