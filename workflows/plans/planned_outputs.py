"""Checks the JSON Schemas of tasks that the orchestrator agent has planned."""

import asyncio
from collections.abc import Iterable

from temporalio.exceptions import ActivityError

from durable_agent_team.contracts.activity_interfaces import AgentActivities
from durable_agent_team.contracts.output_check import OutputCheck
from durable_agent_team.contracts.team import Task
from durable_agent_team.rules.briefing import PlanForm
from workflows.activity_executor import ActivityExecutor
from workflows.policies import output_check_options
from workflows.state.progress import Progress
from workflows.task_exceptions import was_cancelled

NO_TIME = "outputs: the schemas could not be checked in time (make them smaller and flatter)"


async def output_problems(
    progress: Progress, activities: ActivityExecutor, tasks: Iterable[Task]
) -> list[str]:
    """What is wrong with the schemas of these tasks, by an activity, since it takes long. Does not
    yield where none has a schema of its own; tasks of the narrow form never have."""
    outputs = {task.id: task.output for task in tasks if isinstance(task.output, dict)}
    if not outputs or progress.planning.form is PlanForm.NARROW:
        return []
    try:
        verdict = await activities.execute(
            AgentActivities.check_output,
            OutputCheck(output={}, outputs=outputs),
            output_check_options(),
            summary=f"check outputs · {len(outputs)} tasks",
        )
    except ActivityError:
        if was_cancelled():
            raise asyncio.CancelledError from None
        return [NO_TIME]
    return [
        str(problem.model_copy(update={"field": f"tasks.{task_id}.output"}))
        for task_id, problem in verdict.problems.items()
    ]
