"""The result of a run's tasks: whether it is there, and why not."""

from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.run import Failure, TaskStatus
from workflows.state.progress import Progress

CONSEQUENCES = (ErrorType.DEPENDENCY_FAILED, ErrorType.DEPENDENCY_SKIPPED)


def missing_result(progress: Progress) -> Failure | None:
    """Why there is no result, or None. Names the task that failed, not one that waited for it."""
    missing = [
        task_id
        for task_id in progress.tasks.result_ids()
        if progress.tasks.schedule.status[task_id] is not TaskStatus.DONE
    ]
    if not missing:
        return None
    nothing = Failure(type=ErrorType.RUN_FAILED, message=f"task {missing[0]} did not run")
    return first_failure(progress) or nothing


def first_failure(progress: Progress) -> Failure | None:
    """The first failure of a task that is not the consequence of another one's."""
    for task_id, log in progress.tasks.logs.items():
        if log.failure and log.failure.type not in CONSEQUENCES:
            message = f"task {task_id}: {log.failure.message}"[:2000]
            return log.failure.model_copy(update={"message": message})
    return None
