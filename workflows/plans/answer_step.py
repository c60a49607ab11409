"""The last step of a run: its answer."""

from durable_agent_team.contracts.text_ref import Text
from workflows.plans.taking_over import answer_taken_over
from workflows.state.progress import Progress
from workflows.task_exceptions import TaskFailed
from workflows.tasks.assignments import answer_assignment
from workflows.tasks.checked_answers import CheckedAnswers
from workflows.tasks.results import first_failure, missing_result


async def final_answer(progress: Progress, answers: CheckedAnswers) -> tuple[Text, ...]:
    """The answer that the run takes over; the hand-offs of the result tasks (`final: handoff`); or
    what the orchestrator agent writes from them. Raises TaskFailed where a result is missing, or no
    call may start any more."""
    taken = answer_taken_over(progress)
    if taken is not None:
        return (taken,)
    missing = missing_result(progress)
    if missing is not None:
        raise TaskFailed(missing)
    if progress.team.final == "handoff":
        return tuple(progress.tasks.handoffs[task_id] for task_id in progress.tasks.result_ids())
    if progress.stopping and (failed := first_failure(progress)):
        raise TaskFailed(failed)  # `cancel_rest`: the result is there, but no call may start
    return (await answers.answer(answer_assignment(progress)),)
