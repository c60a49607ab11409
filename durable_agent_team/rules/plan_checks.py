"""What can be wrong with tasks that a model planned, once they can be read.

The words are for the orchestrator, which gets them back: they name the task and the remedy.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Final

from durable_agent_team.contracts.plan import Problem
from durable_agent_team.contracts.team import Task
from durable_agent_team.rules.briefing import Briefing
from durable_agent_team.rules.catalog import context_problem
from durable_agent_team.rules.goal_check import goal_copies
from durable_agent_team.rules.graph import find_cycle
from durable_agent_team.rules.nearest_names import Remedies
from durable_agent_team.rules.plan_costs import money_problems
from durable_agent_team.rules.planned_tasks import shown
from durable_agent_team.rules.validation import bounded, reference_problems

RESERVED_IDS: Final = frozenset({"plan", "review", "answer"})
"""The orchestrator's own steps have these names, where money is booked and people approve."""

MAX_CYCLES = 5


def planned_problems(
    briefing: Briefing,
    tasks: Sequence[Task],
    others: Sequence[Task] = (),
    again: Sequence[Task] = (),
) -> list[Problem]:
    """Everything that is wrong with these tasks; `others` are in the same graph, and those of them
    that are done `again` are paid for. The cost is a question once all else is right."""
    graph, remedies = (*others, *tasks), Remedies()
    found = bounded(
        chain(
            _count(briefing, len(graph)),
            _reserved_ids(tasks),
            reference_problems(briefing.team, graph),
            _cycles(graph),
            chain.from_iterable(_sources(briefing, task, remedies) for task in tasks),
            goal_copies(tasks, briefing.goal),
        )
    )
    return found or list(money_problems(briefing, (*tasks, *again), graph))


def _count(briefing: Briefing, count: int) -> Iterator[Problem]:
    most = briefing.team.max_tasks
    if count > most:
        yield Problem(
            field="tasks",
            value=str(count),
            what=f"more than max_tasks, {most}",
            remedy=f"plan {most} at most: merge small ones, leave out what the goal does not need",
        )


def _reserved_ids(tasks: Sequence[Task]) -> Iterator[Problem]:
    for task in tasks:
        if task.id in RESERVED_IDS:
            yield Problem(
                field=f"tasks.{task.id}.id",
                value=task.id,
                what="this id is reserved for the orchestrator's own work",
                remedy="choose another",
            )


def _cycles(tasks: Sequence[Task]) -> Iterator[Problem]:
    """The first ones, each without what the ones before have named."""
    graph = {task.id: list(task.depends_on) for task in tasks}
    for task_id, needs in graph.items():
        if task_id in needs:
            needs[:] = [each for each in needs if each != task_id]
            yield Problem(
                field=f"tasks.{task_id}.depends_on",
                value=task_id,
                what="a task cannot wait for itself",
                remedy="leave it out",
            )
    for _ in range(MAX_CYCLES):
        cycle = find_cycle(graph)
        if cycle is None:
            return
        graph[cycle[-2]].remove(cycle[-1])
        yield Problem(
            field="tasks",
            value=" -> ".join(cycle),
            what="these tasks wait for each other in a cycle",
            remedy="remove one of the dependencies",
        )


def _sources(briefing: Briefing, task: Task, remedies: Remedies) -> Iterator[Problem]:
    """Documents that are not there, that do not fit, or that there must be for quotes."""
    missing = [name for name in task.inputs if name not in briefing.documents]
    for name in missing:
        what = "the run has no document of this name"
        known = briefing.documents
        remedy = remedies.choice(name, known) if known else "leave it out"
        yield Problem(field=f"tasks.{task.id}.inputs", value=shown(name), what=what, remedy=remedy)
    agent = briefing.team.agents.get(task.agent)
    if missing or agent is None:
        return
    quotes = task.output == "findings" or task.checks.quotes_exist_in is not None
    if quotes and not (agent.inputs or task.inputs or task.depends_on):
        field = "output" if task.output == "findings" else "checks.quotes_exist_in"
        yield Problem(
            field=f"tasks.{task.id}.{field}",
            value="findings" if task.output == "findings" else "inputs",
            what="the task has neither documents nor dependencies to quote from",
            remedy='give it `inputs` or `depends_on`, or write output "text"',
        )
    for each in context_problem(briefing.team, task, briefing.documents, briefing.catalog):
        remedy = "give it fewer documents, or to an agent whose model has more context"
        yield each.model_copy(update={"remedy": remedy})
