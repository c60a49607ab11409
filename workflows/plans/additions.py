"""Checks a task that a person adds to a working run."""

from collections.abc import Iterator
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError

from durable_agent_team.contracts.activity_interfaces import AgentActivities
from durable_agent_team.contracts.output_check import OutputCheck
from durable_agent_team.contracts.output_schema import schema_problem
from durable_agent_team.contracts.plan import Problem
from durable_agent_team.contracts.run import RunStatus, TaskStatus
from durable_agent_team.contracts.team import Task
from durable_agent_team.rules.goal_check import goal_copies, goal_problems
from durable_agent_team.rules.plan_checks import RESERVED_IDS
from durable_agent_team.rules.revision import is_added
from durable_agent_team.rules.validation import added_task_problems
from workflows.activity_errors import refused
from workflows.activity_executor import ActivityExecutor
from workflows.policies import output_check_options
from workflows.state.progress import Progress
from workflows.state.task_schedule import ENDED

CHECKED_IN_ACTIVITY = "check-output-in-activity"
"""Runs that added a task before this patch checked its schema in the workflow."""

TOO_EARLY = "add the task once `state` says working"
TOO_LATE = "start another run for it"


def closed_to_tasks(progress: Progress, is_running: bool) -> str | None:
    """Why no task can be added now, with the remedy; None where one can be added."""
    status = progress.status
    if progress.stopping:
        return (
            f"the run starts nothing new: {progress.cancel_reason or 'a task failed'} ({TOO_LATE})"
        )
    if status in (RunStatus.STARTING, RunStatus.PLANNING):
        return f"the run has no plan yet ({TOO_EARLY})"
    if status is RunStatus.APPROVAL:
        return f"the plan waits for approval (approve it first, then {TOO_EARLY})"
    if status is RunStatus.REVIEWING:
        return f"the orchestrator is revising the plan ({TOO_EARLY} again)"
    if not is_running:
        return f"the run has done its tasks; its status is {status} ({TOO_LATE})"
    return None


def addition_problems(progress: Progress, task: Task) -> list[Problem]:
    """The rules of a planned task, and those of a graph that is being worked on."""
    assert progress.tasks.plan is not None
    team, tasks = progress.team, progress.tasks.plan.tasks
    if task.id in progress.tasks.schedule.tasks:
        return [_problem("id", task.id, "there is a task of this id", "choose another")]
    if len(tasks) >= team.max_tasks:
        what = f"the run has {len(tasks)} tasks, and max_tasks is {team.max_tasks}"
        return [_problem("id", task.id, what, TOO_LATE)]
    return [
        *added_task_problems(team, progress.tasks.schedule.tasks, task),
        *_goal_problems(progress, task),
        *_id_problems(task),
        *_dependency_problems(progress, task),
        *_input_problems(progress, task),
    ]


def _goal_problems(progress: Progress, task: Task) -> Iterator[Problem]:
    """Runs of earlier versions have taken tasks that would be refused now."""
    found = goal_copies if progress.catalog.plans_by_model else goal_problems
    return found((task,), progress.goal)


def _id_problems(task: Task) -> Iterator[Problem]:
    if is_added(task.id) or task.id in RESERVED_IDS:
        what = "ids like this are reserved for the orchestrator's own work"
        yield _problem("id", task.id, what, "choose another")


def _dependency_problems(progress: Progress, task: Task) -> Iterator[Problem]:
    """A failed dependency also blocks a task that accepts missing inputs, as in a plan."""
    for dependency in dict.fromkeys(task.depends_on):
        status = progress.tasks.schedule.status.get(dependency)
        if status is None or status is TaskStatus.DONE or status not in ENDED:
            continue
        what = f"it ended without a hand-off: {status}"
        if status in (TaskStatus.FAILED, TaskStatus.BLOCKED):
            yield _problem("depends_on", dependency, what, "retry that first, or leave it out")
        elif task.missing_inputs != "accept":
            remedy = "leave it out, or write missing_inputs: accept"
            yield _problem("depends_on", dependency, what, remedy)


def _input_problems(progress: Progress, task: Task) -> Iterator[Problem]:
    known = ", ".join(progress.sources) or "none"
    for name in task.inputs:
        if name not in progress.sources:
            what = "the run was started without a document of this name"
            yield _problem("inputs", name, what, f"one of: {known}"[:1000])


async def check_output(activities: ActivityExecutor, task: Task) -> None:
    """Raises ApplicationError for an `output` that is not a JSON Schema. Does not yield for a task
    without a schema of its own."""
    if not isinstance(task.output, dict):
        return
    if not workflow.patched(CHECKED_IN_ACTIVITY):
        with workflow.unsafe.imports_passed_through():
            problem = schema_problem(task.output)
    else:
        problem = await _checked_by_activity(activities, task.id, task.output)
    if problem is not None:
        raise refused(str(problem))


async def _checked_by_activity(
    activities: ActivityExecutor, task_id: str, output: dict[str, Any]
) -> Problem | None:
    try:
        verdict = await activities.execute(
            AgentActivities.check_output,
            OutputCheck(output=output),
            output_check_options(),
            summary=f"check output · {task_id}",
        )
    except ActivityError as error:
        raise refused("output: its schema could not be checked in time; try again") from error
    return verdict.problem


def _problem(field: str, value: str, what: str, remedy: str) -> Problem:
    return Problem(field=field, value=value, what=what, remedy=remedy)
