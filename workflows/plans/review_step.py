"""The review of a plan: the orchestrator agent looks at the results, and revises the plan."""

from collections.abc import Sequence

from temporalio import workflow

from durable_agent_team.contracts.plan import Plan, Problem
from durable_agent_team.contracts.run import RunStatus
from durable_agent_team.rules.review import parse_review
from durable_agent_team.rules.revision import Review, to_do_again
from workflows.plans.planned_outputs import output_problems
from workflows.plans.taking_over import answer_stands
from workflows.state.progress import Progress
from workflows.state.tainted_handoffs import note_added
from workflows.task_exceptions import TaskFailed, TaskSkipped
from workflows.tasks.assignments import (
    REVIEW_SUBJECT,
    begin_planning,
    judging_briefing,
    review_assignment,
)
from workflows.tasks.checked_answers import CheckedAnswers
from workflows.tasks.runner import TaskRunner


async def review_plan(progress: Progress, answers: CheckedAnswers, runner: TaskRunner) -> None:
    """Up to `review_rounds` rounds: a review, and then the tasks of the revised plan.

    Reviews whose plan was taken over count, and where the answer was too, there is nothing to
    review."""
    while progress.reviews < progress.team.review_rounds:
        if progress.stopping or answer_stands(progress):
            return
        progress.become(RunStatus.REVIEWING)
        revised = await _revise(progress, answers, progress.reviews + 1)
        if revised is None or progress.stopping:
            return
        review, plan = revised
        note_added(progress, review.add)
        progress.tasks.revise(plan, to_do_again(plan, review.redo))
        progress.reviews += 1
        progress.become(RunStatus.WORKING)
        await runner.run()


async def _revise(
    progress: Progress, answers: CheckedAnswers, number: int
) -> tuple[Review, Plan] | None:
    """None where the plan stays as it is: the review finishes the work, or has failed."""
    assert progress.tasks.plan is not None
    plan = progress.tasks.plan
    begin_planning(progress, REVIEW_SUBJECT)
    found: tuple[Review, Plan] | list[Problem] = []

    async def problems(answer: str) -> Sequence[str]:
        nonlocal found
        found = parse_review(answer, judging_briefing(progress), plan, number)
        if isinstance(found, list):
            return [str(problem) for problem in found]
        return await output_problems(progress, answers.activities, found[0].add)

    try:
        answer = await answers.inline_answer(review_assignment(progress), problems)
    except (TaskFailed, TaskSkipped) as ended:
        progress.refuse(workflow.now(), f"review {number}", ended.failure.message)
        return None
    if not found:  # checked in an earlier execution of the run, and approved since
        found = parse_review(answer, judging_briefing(progress), plan, number)
    if isinstance(found, list) or found[0].finishes:
        return None
    return found
