"""Checks a seed in a start input, and finds what of it holds in the run.

Anyone who may start a run may write its seed, as its documents. What the run's code relies on is
checked: the graph, and the length and form of each hand-off. Its schema and its quotes are not
checked again; they were when it was made.
"""

from collections.abc import Collection, Iterator, Sequence

from durable_agent_team.contracts.model_catalog import ModelCatalog
from durable_agent_team.contracts.plan import Problem
from durable_agent_team.contracts.run import RunRequest
from durable_agent_team.contracts.seed import Paid, Seed
from durable_agent_team.contracts.team import Caller, Task, Team
from durable_agent_team.contracts.text_ref import Text, TextRef
from durable_agent_team.rules import model_json
from durable_agent_team.rules.catalog import model_of
from durable_agent_team.rules.graph import with_dependants

REMEDY = "let `rerun` or `--reuse` make the seed"


def seeded_tasks(request: RunRequest) -> tuple[Task, ...]:
    """The plan that the run starts with; none where the orchestrator makes it."""
    seed = request.seed
    if seed is not None and seed.plan is not None:
        return seed.plan.plan.tasks
    return request.team.tasks


def seed_problems(request: RunRequest) -> Iterator[Problem]:
    """What is wrong with the seed, given a plan without problems."""
    seed = request.seed
    if seed is None:
        return
    tasks = {task.id: task for task in seeded_tasks(request)}
    if seed.plan is not None:
        result = seed.plan.plan.result
        if result is not None and result not in tasks:
            yield _problem("seed.plan.plan.result", result, "no such task")
        for name in seed.plan.added:
            if name not in tasks:
                yield _problem("seed.plan.added", name, "no such task")
    for task_id, made in seed.tasks.items():
        if task_id not in tasks:
            yield _problem(f"seed.tasks.{task_id}", "", "no such task in the plan")
            continue
        for each in tasks[task_id].depends_on:
            if each not in seed.tasks:
                what = f"it depends on {each}, which has no hand-off in the seed"
                yield _problem(f"seed.tasks.{task_id}", "", what)
        what = handoff_problem(tasks[task_id], made.text)
        if what:
            yield _problem(f"seed.tasks.{task_id}.output", "", what)


def handoff_problem(task: Task, output: Text) -> str:
    """What the task's own checks have against a hand-off, as far as they are cheap; or nothing. One
    in the store is not read here."""
    if isinstance(output, TextRef):
        return ""
    length, low, high = len(output), task.checks.min_length, task.checks.max_length
    if not output.strip():
        return "it is empty"
    if low is not None and length < low:
        return f"it has {length} characters, below the task's min_length, {low}"
    if high is not None and length > high:
        return f"it has {length} characters, above the task's max_length, {high}"
    if task.output != "text":
        try:
            model_json.parse(output)
        except ValueError as error:
            return f"the task's output is JSON, and this is not: {error}"
    return ""


def tasks_taken_over(
    tasks: Sequence[Task], done: Collection[str], targets: Collection[str] = ()
) -> list[str]:
    """The tasks that are done and neither a target nor behind one, in the order of the plan.

    What is not done is a target, so that every dependency of a task taken over is so too.
    """
    missing = [task.id for task in tasks if task.id not in done]
    again = with_dependants({task.id: task.depends_on for task in tasks}, {*targets, *missing})
    return [task.id for task in tasks if task.id not in again]


def plan_holds(seed: Seed, team: Team, catalog: ModelCatalog) -> bool:
    """Whether the seed's plan counts: the orchestrator would call the model that made it."""
    return seed.plan is None or _same_model(seed.plan, team.orchestrator, catalog)


def answer_holds(seed: Seed, team: Team, catalog: ModelCatalog) -> bool:
    """Whether the seed has an answer that counts if no task runs."""
    return seed.answer is not None and _same_model(seed.answer, team.orchestrator, catalog)


def tasks_that_hold(
    seed: Seed, team: Team, tasks: Sequence[Task], catalog: ModelCatalog
) -> list[str]:
    """The seeded tasks whose agents would call the models that made them, but none behind another
    task, in the order of the plan."""
    agents = {task.id: team.agents[task.agent] for task in tasks}
    same = [
        task_id
        for task_id, made in seed.tasks.items()
        if task_id in agents and _same_model(made, agents[task_id], catalog)
    ]
    return tasks_taken_over(tasks, frozenset(same))


def _same_model(made: Paid, caller: Caller, catalog: ModelCatalog) -> bool:
    return not made.same_model or model_of(caller, catalog) == made.model


def _problem(field: str, value: str, what: str) -> Problem:
    return Problem(field=field, value=value, what=what, remedy=REMEDY)
