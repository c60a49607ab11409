"""The review of a plan: the orchestrator agent looks at the results, and revises the plan."""

from collections.abc import Sequence

from temporalio import workflow

from durable_agent_team.contracts.plan import Plan
from durable_agent_team.contracts.run import RunStatus
from durable_agent_team.rules.review import Review, parse_review, to_do_again
from workflows.plans.taking_over import answer_stands
from workflows.state.progress import Progress
from workflows.task_exceptions import TaskFailed, TaskSkipped
from workflows.tasks.assignments import review_assignment
from workflows.tasks.paid_call import PaidCalls
from workflows.tasks.runner import TaskRunner


async def review_plan(progress: Progress, calls: PaidCalls, runner: TaskRunner) -> None:
    """Up to `review_rounds` rounds: a review, and then the tasks of the revised plan.

    Reviews whose plan was taken over count, and where the answer was too, there is nothing to
    review."""
    while progress.reviews < progress.team.review_rounds:
        if progress.stopping or answer_stands(progress):
            return
        progress.become(RunStatus.REVIEWING)
        revised = await _revise(progress, calls, progress.reviews + 1)
        if revised is None or progress.stopping:
            return
        review, plan = revised
        progress.tasks.revise(plan, to_do_again(plan, review.redo))
        progress.reviews += 1
        progress.become(RunStatus.WORKING)
        await runner.run()


async def _revise(progress: Progress, calls: PaidCalls, number: int) -> tuple[Review, Plan] | None:
    """None where the plan stays as it is: the review finishes the work, or has failed."""
    assert progress.tasks.plan is not None
    team, plan, goal = progress.team, progress.tasks.plan, progress.goal

    def problems(answer: str) -> Sequence[str]:
        found = parse_review(answer, team, plan, goal, number)
        return [str(problem) for problem in found] if isinstance(found, list) else []

    try:
        answer = await calls.inline_answer(review_assignment(progress), problems)
    except (TaskFailed, TaskSkipped) as ended:
        progress.refuse(workflow.now(), f"review {number}", ended.failure.message)
        return None
    found = parse_review(answer, team, plan, goal, number)
    if isinstance(found, list) or found[0].finishes:
        return None
    return found
