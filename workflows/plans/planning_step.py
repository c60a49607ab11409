"""The first step of a run: its plan, from the team file or from the orchestrator agent."""

from collections.abc import Sequence

from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.model_catalog import ModelCatalog
from durable_agent_team.contracts.plan import Plan, Problem
from durable_agent_team.contracts.run import Failure, RunStatus
from durable_agent_team.rules.planning import parse_plan
from durable_agent_team.rules.validation import team_problems
from workflows.plans.planned_outputs import output_problems
from workflows.plans.taking_over import seeded_plan
from workflows.state.progress import Progress
from workflows.task_exceptions import TaskFailed
from workflows.tasks.assignments import (
    PLAN_SUBJECT,
    begin_planning,
    judging_briefing,
    plan_assignment,
)
from workflows.tasks.checked_answers import CheckedAnswers


def check_team(progress: Progress, catalog: ModelCatalog) -> None:
    """Raises TaskFailed, with every problem, where the team cannot run with these models."""
    assert progress.request is not None
    problems = team_problems(progress.request, catalog)
    if problems:
        message = "; ".join(str(problem) for problem in problems)[:2000]
        raise TaskFailed(Failure(type=ErrorType.INVALID_INPUT, message=message))


async def make_plan(progress: Progress, answers: CheckedAnswers) -> Plan:
    """The plan that the run takes over, or that of the team file; else the orchestrator agent's,
    which goes back to it while it is invalid, `max_repairs` times.

    Raises TaskFailed or TaskSkipped.
    """
    team = progress.team
    seeded = seeded_plan(progress)
    if seeded is not None:
        return seeded
    if team.tasks:
        return Plan(tasks=team.tasks, result=team.result)
    progress.become(RunStatus.PLANNING)
    begin_planning(progress, PLAN_SUBJECT)
    found: Plan | list[Problem] = []

    async def problems(answer: str) -> Sequence[str]:
        nonlocal found
        found = parse_plan(answer, judging_briefing(progress))
        if isinstance(found, list):
            return [str(problem) for problem in found]
        return await output_problems(progress, answers.activities, found.tasks)

    try:
        await answers.inline_answer(plan_assignment(progress), problems)
    except TaskFailed as failed:
        if failed.failure.type != ErrorType.CHECK_FAILED:
            raise
        message = failed.failure.message
        raise TaskFailed(Failure(type=ErrorType.INVALID_PLAN, message=message)) from None
    assert isinstance(found, Plan)
    return found
