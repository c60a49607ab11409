"""The first step of a run: its plan, from the team file or from the orchestrator agent."""

from collections.abc import Sequence

from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.plan import Plan
from durable_agent_team.contracts.run import Failure, RunStatus
from durable_agent_team.contracts.spend import ModelCatalog
from durable_agent_team.rules.planning import parse_plan
from durable_agent_team.rules.validation import team_problems
from workflows.plans.taking_over import seeded_plan
from workflows.state.progress import Progress
from workflows.task_exceptions import TaskFailed
from workflows.tasks.assignments import plan_assignment
from workflows.tasks.paid_call import PaidCalls


def check_team(progress: Progress, catalog: ModelCatalog) -> None:
    """Raises TaskFailed, with every problem, where the team cannot run with these models."""
    assert progress.request is not None
    problems = team_problems(progress.request, catalog)
    if problems:
        message = "; ".join(str(problem) for problem in problems)[:2000]
        raise TaskFailed(Failure(type=ErrorType.INVALID_INPUT, message=message))


async def make_plan(progress: Progress, calls: PaidCalls) -> Plan:
    """The plan that the run takes over, or that of the team file; else the orchestrator agent's,
    which goes back to it while it is invalid, `max_repairs` times.

    Raises TaskFailed or TaskSkipped.
    """
    team, goal = progress.team, progress.goal
    seeded = seeded_plan(progress)
    if seeded is not None:
        return seeded
    if team.tasks:
        return Plan(tasks=team.tasks, result=team.result)
    progress.become(RunStatus.PLANNING)

    def problems(answer: str) -> Sequence[str]:
        plan = parse_plan(answer, team, goal)
        return [] if isinstance(plan, Plan) else [str(problem) for problem in plan]

    try:
        answer = await calls.inline_answer(plan_assignment(progress), problems)
    except TaskFailed as failed:
        if failed.failure.type != ErrorType.CHECK_FAILED:
            raise
        message = failed.failure.message
        raise TaskFailed(Failure(type=ErrorType.INVALID_PLAN, message=message)) from None
    plan = parse_plan(answer, team, goal)
    assert isinstance(plan, Plan)
    return plan
