"""What a run takes over from one that ended: the plan, the tasks that are done, the answer.

A task taken over is an ordinary task that is done; it can be done again like any other.
"""

from durable_agent_team.contracts.plan import Plan
from durable_agent_team.contracts.seed import Seed
from durable_agent_team.contracts.text_ref import Text
from durable_agent_team.rules.seed_checks import answer_holds, plan_holds, tasks_that_hold
from workflows.state.progress import Progress
from workflows.state.tainted_handoffs import note_taken_over
from workflows.state.taken_over import Reused, TakenOver


def _seed(progress: Progress) -> Seed | None:
    return progress.request.seed if progress.request is not None else None


def seeded_plan(progress: Progress) -> Plan | None:
    """The seed's plan. One that another model would make now is dropped, with the whole seed: its
    tasks would have other asks under the same ids."""
    seed = _seed(progress)
    if seed is None:
        return None
    if not plan_holds(seed, progress.team, progress.catalog):
        _drop_seed(progress)
        return None
    if seed.plan is None:
        return None
    progress.reviews = seed.plan.reviews
    progress.tasks.added = set(seed.plan.added)
    return seed.plan.plan


def take_over(progress: Progress) -> None:
    """Marks what the seed has as done, in the plan that the run has just adopted. The start input
    keeps the seed; the run's state has each hand-off once."""
    seed = _seed(progress)
    if seed is None:
        return
    tasks = tuple(progress.tasks.schedule.tasks.values())
    kept = tasks_that_hold(seed, progress.team, tasks, progress.catalog)
    progress.tasks.take_over(
        {task_id: seed.tasks[task_id].text for task_id in kept},
        {task_id: Reused.of(seed.tasks[task_id], seed.origin) for task_id in kept},
    )
    note_taken_over(progress, kept)
    taken = progress.taken_over = TakenOver(seed.origin)
    if seed.plan is not None:
        taken.plan = Reused.of(seed.plan, seed.origin)
    if seed.answer is not None and answer_holds(seed, progress.team, progress.catalog):
        taken.answer = Reused.of(seed.answer, seed.origin)
        taken.answer_text = seed.answer.text
    _drop_seed(progress)
    progress.changed()


def answer_stands(progress: Progress) -> bool:
    """Whether the answer was taken over, and no task has run that could change it."""
    taken = progress.taken_over
    return taken is not None and taken.answer_text is not None and progress.tasks.is_all_reused


def answer_taken_over(progress: Progress) -> Text | None:
    """The answer, where it stands; from then on it is this run's own."""
    if progress.taken_over is None or not answer_stands(progress):
        return None
    progress.taken_over.answer_counts = True
    return progress.taken_over.answer_text


def _drop_seed(progress: Progress) -> None:
    assert progress.request is not None
    progress.request = progress.request.model_copy(update={"seed": None})
