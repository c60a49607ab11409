"""Everything that can be wrong with a run before an account is opened.

The command line shows all problems at once; the workflow checks its input again.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import chain, islice

from durable_agent_team.contracts.model_catalog import ModelCatalog
from durable_agent_team.contracts.names import ORCHESTRATOR_AGENT
from durable_agent_team.contracts.plan import Problem
from durable_agent_team.contracts.run import RunRequest
from durable_agent_team.contracts.schema_size import size_problem
from durable_agent_team.contracts.team import OnExhausted, Task, Team
from durable_agent_team.rules.catalog import (
    callers,
    context_problems,
    field_of,
    model_problems,
    payers,
    timeout_problems,
)
from durable_agent_team.rules.goal_check import contains_goal
from durable_agent_team.rules.graph import find_cycle
from durable_agent_team.rules.nearest_names import Remedies, choice
from durable_agent_team.rules.programs import scope_problems
from durable_agent_team.rules.seed_checks import seed_problems, seeded_tasks
from durable_agent_team.rules.tools.tool_checks import tool_problems, uncharged_prices
from durable_agent_team.rules.tools.tool_warnings import tool_warnings

NO_AGENT, NO_TASK = "no such agent", "no such task"
NO_DOCUMENT = "the request has no text of this name"
NO_TASKS = "the team has no tasks of its own: the orchestrator plans them"
MAX_PROBLEMS = 100
"""For one input. A graph can have hundreds of thousands, and to list them would take minutes."""


def team_problems(request: RunRequest, catalog: ModelCatalog | None = None) -> list[Problem]:
    """All problems of a start input. Without a catalog, models and contexts are not checked."""
    team = request.team
    found = [
        _goal_problems(request),
        _budget_problems(team),
        _fallback_problems(team),
        _source_problems(request),
        _task_problems(team, team.tasks),
        _result_problems(team),
        tool_problems(request),
        _seed_problems(request),
    ]
    if catalog is not None:
        found += [
            model_problems(team, catalog),
            timeout_problems(team, catalog),
            scope_problems(team, catalog),
            uncharged_prices(team, catalog),
            context_problems(request, catalog),
        ]
    return bounded(chain.from_iterable(found))


def _seed_problems(request: RunRequest) -> Iterator[Problem]:
    """A broken plan has no order to check its hand-offs by."""
    plan = request.seed.plan if request.seed is not None else None
    found = (
        list(islice(_task_problems(request.team, plan.plan.tasks), MAX_PROBLEMS)) if plan else []
    )
    yield from found or seed_problems(request)


def team_warnings(request: RunRequest) -> list[Problem]:
    """What is allowed but probably not intended."""
    team = request.team
    limit = team.orchestrator.budget_usd
    warnings = [
        Problem(
            field=f"agents.{name}.budget_usd",
            value=str(agent.budget_usd),
            what=f"above the orchestrator's limit of {limit} USD",
            remedy="a subagent's limit is usually the smaller one",
        )
        for name, agent in team.agents.items()
        if limit is not None and agent.budget_usd is not None and agent.budget_usd > limit
    ]
    goal = request.effective_goal
    warnings += [
        Problem(
            field=f"tasks.{task.id}.ask",
            what="contains the goal word for word",
            remedy="ask for the part of it that this agent is to do",
        )
        for task in team.tasks
        if goal and contains_goal(task.ask, goal)
    ]
    return [*warnings, *tool_warnings(team)]


def bounded(problems: Iterable[Problem]) -> list[Problem]:
    """The first `MAX_PROBLEMS`, and a last one that says that there are more."""
    found = list(islice(problems, MAX_PROBLEMS + 1))
    if len(found) > MAX_PROBLEMS:
        what = f"more than {MAX_PROBLEMS} problems, of which the first are listed"
        found[-1] = Problem(field="and more", what=what, remedy="correct these, then look again")
    return found


def task_problems(team: Team, tasks: tuple[Task, ...]) -> list[Problem]:
    """Problems of a task graph, from a team file or planned; the first `MAX_PROBLEMS`."""
    return bounded(_task_problems(team, tasks))


def reference_problems(team: Team, tasks: Sequence[Task]) -> Iterator[Problem]:
    """Ids that are taken twice, agents and tasks that do not exist, bounds of single tasks."""
    counts = Counter(task.id for task in tasks)
    for task_id, count in counts.items():
        if count > 1:
            what = f"{count} tasks have this id"
            yield Problem(field=f"tasks.{task_id}", what=what, remedy="rename one")
    remedies = Remedies()
    for task in tasks:
        yield from _references(team, task, counts, remedies)
        yield from _check_bounds(task)


def added_task_problems(team: Team, ids: Collection[str], task: Task) -> list[Problem]:
    """Problems of one more task, where `ids` are those of a graph without problems. Its cost does
    not depend on the size of the graph: only the new task can complete a cycle."""
    found = chain(_references(team, task, {*ids, task.id}, Remedies()), _check_bounds(task))
    return bounded(chain(found, _cycle_problems((task,))))


def _task_problems(team: Team, tasks: tuple[Task, ...]) -> Iterator[Problem]:
    if len(tasks) > team.max_tasks:
        yield Problem(
            field="tasks",
            value=str(len(tasks)),
            what=f"more than max_tasks, {team.max_tasks}",
            remedy="raise max_tasks, or merge tasks",
        )
    yield from reference_problems(team, tasks)
    yield from _cycle_problems(tasks)


def _cycle_problems(tasks: tuple[Task, ...]) -> Iterator[Problem]:
    cycle = find_cycle({task.id: task.depends_on for task in tasks})
    if cycle:
        yield Problem(
            field="tasks",
            value=" -> ".join(cycle),
            what="these tasks wait for each other in a cycle",
            remedy="remove one of the dependencies",
        )


def _goal_problems(request: RunRequest) -> Iterator[Problem]:
    if not request.effective_goal:
        yield Problem(
            field="goal", what="missing", remedy="write goal: in the file, or give --goal"
        )


def _budget_problems(team: Team) -> Iterator[Problem]:
    if ORCHESTRATOR_AGENT in team.agents:
        yield Problem(
            field=f"agents.{ORCHESTRATOR_AGENT}",
            what="this name is the orchestrator's own",
            remedy="rename the agent",
        )
    everyone = payers(team)
    unlimited = [name for name, caller in everyone.items() if caller.budget_usd is None]
    given = sum((each.budget_usd for each in everyone.values() if each.budget_usd), Decimal(0))
    if team.budget_usd is None:
        for name in unlimited:
            yield Problem(
                field=f"{field_of(name)}.budget_usd",
                what="no limit: neither the agent nor the team has a budget_usd",
                remedy="give the agent one, or the team one to share out",
            )
    elif given > team.budget_usd or (unlimited and given == team.budget_usd):
        yield Problem(
            field="budget_usd",
            value=str(team.budget_usd),
            what=f"the agents' own limits come to {given} USD"
            + (f", and {', '.join(unlimited)} would get nothing" if unlimited else ""),
            remedy="raise the team's budget_usd, or lower the agents'",
        )


def _fallback_problems(team: Team) -> Iterator[Problem]:
    for name, caller in callers(team).items():
        if caller.on_exhausted is OnExhausted.FALLBACK and caller.fallback_model is None:
            yield Problem(
                field=f"{field_of(name)}.on_exhausted",
                value=caller.on_exhausted.value,
                what="there is no model to fall back to",
                remedy="name a cheaper one as fallback_model, or write on_exhausted: park",
            )


def _source_problems(request: RunRequest) -> Iterator[Problem]:
    team = request.team
    named = [(f"agents.{name}.inputs", agent.inputs) for name, agent in team.agents.items()]
    tasks = {task.id: task for task in (*team.tasks, *seeded_tasks(request))}
    named += [(f"tasks.{task.id}.inputs", task.inputs) for task in tasks.values()]
    for field, names in named:
        for name in names:
            if name not in request.texts:
                yield Problem(
                    field=field,
                    value=name,
                    what=NO_DOCUMENT,
                    remedy="send it in `sources`; the starter does so for files",
                )


def _references(
    team: Team, task: Task, ids: Collection[str], remedies: Remedies
) -> Iterator[Problem]:
    if task.agent not in team.agents:
        own = task.agent == ORCHESTRATOR_AGENT
        yield Problem(
            field=f"tasks.{task.id}.agent",
            value=task.agent,
            what="the orchestrator plans and answers, and has no tasks" if own else NO_AGENT,
            remedy=remedies.choice(task.agent, team.agents),
        )
    unknown = [each for each in task.depends_on if each not in ids]
    others = sorted(set(ids) - {task.id}) if unknown else []
    for dependency in unknown:
        yield Problem(
            field=f"tasks.{task.id}.depends_on",
            value=dependency,
            what=NO_TASK,
            remedy=remedies.choice(dependency, others),
        )


def _check_bounds(task: Task) -> Iterator[Problem]:
    too_large = size_problem(task.output) if isinstance(task.output, dict) else None
    if too_large is not None:
        yield too_large.model_copy(update={"field": f"tasks.{task.id}.output"})
    low, high = task.checks.min_length, task.checks.max_length
    if low is not None and high is not None and low > high:
        yield Problem(
            field=f"tasks.{task.id}.checks.min_length",
            value=str(low),
            what=f"above max_length, {high}: no answer can pass",
            remedy="swap them",
        )


def _result_problems(team: Team) -> Iterator[Problem]:
    if team.result is not None and team.tasks and team.result not in {t.id for t in team.tasks}:
        yield Problem(
            field="result",
            value=team.result,
            what=NO_TASK,
            remedy=choice(team.result, [task.id for task in team.tasks]),
        )
    if team.result is not None and not team.tasks:
        yield Problem(
            field="result",
            value=team.result,
            what=NO_TASKS,
            remedy="leave result out",
        )
