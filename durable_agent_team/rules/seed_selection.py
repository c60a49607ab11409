"""Chooses what a run takes over from one that ended.

`seed_for_rerun` takes what is done and is not to be done again. `seed_for_reuse` takes what a run
of the given input would ask for in the same words.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from durable_agent_team.contracts.plan import Plan, Problem
from durable_agent_team.contracts.run import RunRequest
from durable_agent_team.contracts.seed import Seed, SeedAnswer, SeedPlan
from durable_agent_team.contracts.team import Task, Team
from durable_agent_team.contracts.text_ref import Text
from durable_agent_team.rules.briefing import Briefing, PlanForm
from durable_agent_team.rules.ended_run import EndedRun, Made, seeded
from durable_agent_team.rules.fingerprints import (
    answer_fingerprint,
    plan_fingerprint,
    task_fingerprint,
)
from durable_agent_team.rules.graph import in_order
from durable_agent_team.rules.planning import parse_plan
from durable_agent_team.rules.seed_checks import handoff_problem, tasks_taken_over

ORCHESTRATOR_SETTINGS = (
    "model",
    "instructions",
    "max_tokens",
    "temperature",
    "frequency_penalty",
    "seed",
    "reasoning_effort",
)
"""Those that shape the body of its calls."""


def seed_for_rerun(ended: EndedRun, targets: Collection[str], team: Team) -> Seed:
    """To continue a run: its plan, and what is done in it and is not a target.

    `team` has the settings of the new run. The final answer is taken over where no task runs, and
    the orchestrator would be asked as it was.
    """
    plan = ended.whole_plan
    tasks = plan.tasks if plan is not None else ()
    done = {
        task.id
        for task in tasks
        if (made := ended.handoffs.get(task.id)) and not handoff_problem(task, made.output)
    }
    kept = tasks_taken_over(tasks, done, targets)
    before, now = ended.request.team.orchestrator, team.orchestrator
    same = all(getattr(before, each) == getattr(now, each) for each in ORCHESTRATOR_SETTINGS)
    whole = plan is not None and len(kept) == len(tasks) and same
    answer = seeded(ended.answer, ended.id) if whole and ended.answer is not None else None
    return Seed(
        origin=ended.id,
        tasks={task_id: seeded(ended.handoffs[task_id], ended.id) for task_id in kept},
        **_given(plan=ended.plan, answer=answer),
    )


def seed_for_reuse(ended: EndedRun, request: RunRequest) -> Seed:
    """What a run of `request` would ask for as `ended` asked for it, and need not pay again.

    Everything behind a task that is done again is done again. An agent
    without a model is compared by the model that it had; the run checks that the worker's default
    is still that one.
    """
    team = request.team
    plan = _reused_plan(ended, request)
    tasks = team.tasks or (plan.plan.tasks if plan is not None else ())
    handoffs: dict[str, Text] = {}
    taken: dict[str, SeedAnswer] = {}
    by_id = {task.id: task for task in tasks}
    search = _Search(ended, by_id)
    for task_id in in_order({task.id: task.depends_on for task in tasks}):
        task = by_id[task_id]
        if all(each in taken for each in task.depends_on):
            found = search.task(team, task, request.texts, handoffs)
            if found is not None and not handoff_problem(task, found.output):
                handoffs[task_id] = found.output
                taken[task_id] = seeded(found, ended.id, same_model=True)
    answer = None
    if len(taken) == len(tasks) and tasks:
        result = plan.plan.result if plan is not None else team.result
        shown = _results(tasks, result)
        answer = _reused_answer(ended, request, {each: handoffs[each] for each in shown})
    return Seed(
        origin=ended.id,
        tasks={task.id: taken[task.id] for task in tasks if task.id in taken},
        **_given(plan=plan, answer=answer),
    )


class _Search:
    """Finds a hand-off by the content of its request: the task's own first, then one of a task that
    the new plan does not have any more, which may have had another name."""

    def __init__(self, ended: EndedRun, ids: Collection[str]) -> None:
        self._handoffs = ended.handoffs
        self._ids = ids
        self._models = sorted({each.model for each in ended.handoffs.values() if each.model})
        self._by_print: dict[str, list[str]] = {}
        for name, made in ended.handoffs.items():
            if made.fingerprint is not None:
                self._by_print.setdefault(made.fingerprint, []).append(name)

    def task(
        self, team: Team, task: Task, documents: Mapping[str, Text], handoffs: Mapping[str, Text]
    ) -> Made | None:
        own = team.agents[task.agent].model
        for model in [own] if own else self._models:
            asked = task_fingerprint(team, task, documents, handoffs, model)
            names = self._by_print.get(asked, [])
            free = [each for each in names if each == task.id or each not in self._ids]
            if free:
                name = task.id if task.id in free else free[0]
                names.remove(name)
                return self._handoffs[name]
        return None


def _reused_plan(ended: EndedRun, request: RunRequest) -> SeedPlan | None:
    """Whatever form it was asked for in: the request says which."""
    team, planned = request.team, ended.planned
    if team.tasks or planned is None or not isinstance(planned.output, str):
        return None
    model = team.orchestrator.model or planned.model or ""
    plan: Plan | list[Problem] | None = None
    for form in PlanForm:
        briefing = Briefing(team, request.effective_goal, form, request.texts)
        if plan_fingerprint(briefing, model) == planned.fingerprint:
            plan = parse_plan(planned.output, briefing)
    if not isinstance(plan, Plan):
        return None
    written = seeded(planned, ended.id)
    where = _given(origin=written.origin, model=planned.model, planned=written)
    return SeedPlan(plan=plan, cost_usd=planned.cost_usd, same_model=True, **where)


def _reused_answer(
    ended: EndedRun, request: RunRequest, results: Mapping[str, Text]
) -> SeedAnswer | None:
    """With other reviews than before, another answer could come out."""
    team, made = request.team, ended.answer
    if made is None or team.review_rounds != ended.request.team.review_rounds:
        return None
    model = team.orchestrator.model or made.model or ""
    if answer_fingerprint(team, request.effective_goal, results, model) != made.fingerprint:
        return None
    return seeded(made, ended.id, same_model=True)


def _results(tasks: Sequence[Task], result: str | None) -> list[str]:
    """The tasks that the final answer is written from, in a plan that no one has changed."""
    if result is not None:
        return [result]
    needed = {each for task in tasks for each in task.depends_on}
    return [task.id for task in tasks if task.id not in needed]


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
