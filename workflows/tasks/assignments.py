"""Who is asked what: a specialist never sees the goal, the orchestrator always does."""

from dataclasses import replace
from typing import Any

from durable_agent_team.contracts.call import Purpose, Source
from durable_agent_team.contracts.names import ORCHESTRATOR_AGENT
from durable_agent_team.rules.catalog import caller_of
from durable_agent_team.rules.planning import plan_ask, plan_schema
from durable_agent_team.rules.prompts import (
    FINAL_ASK,
    orchestrator_text,
    system_text,
    task_sources,
)
from durable_agent_team.rules.review import MAX_SHOWN, review_ask, review_schema
from workflows.state.progress import Progress
from workflows.tasks.call_requests import Assignment

PLAN_SUBJECT = "plan"
ANSWER_SUBJECT = "answer"
REVIEW_SUBJECT = "review"


def task_assignment(progress: Progress, task_id: str) -> Assignment:
    """A specialist's task: its role, its ask, its checked inputs."""
    team = progress.team
    task = progress.schedule.tasks[task_id]
    agent = team.agents[task.agent]
    return Assignment(
        agent=task.agent,
        caller=agent,
        subject=task_id,
        system=system_text(agent),
        ask=task.ask,
        sources=task_sources(team, task, progress.sources, progress.handoffs),
        missing=tuple(each for each in task.depends_on if each not in progress.handoffs),
        output=task.output,
        checks=task.checks,
    )


def renewed(progress: Progress, assignment: Assignment) -> Assignment:
    """The same assignment, with its agent's settings as they are now."""
    team, agent = progress.team, assignment.agent
    caller = caller_of(team, agent)
    if caller is assignment.caller:
        return assignment
    if agent == ORCHESTRATOR_AGENT:
        return replace(assignment, caller=caller, system=orchestrator_text(team))
    return replace(assignment, caller=caller, system=system_text(team.agents[agent]))


def plan_assignment(progress: Progress) -> Assignment:
    """Decompose the goal, under a schema that cannot express an unknown agent or a cycle."""
    team = progress.team
    return _orchestrators(
        progress, PLAN_SUBJECT, Purpose.PLAN, plan_ask(team), output=plan_schema(team)
    )


def review_assignment(progress: Progress) -> Assignment:
    """What is done, as sources, cut; what failed, in the ask; the goal restated."""
    assert progress.plan is not None
    status = progress.schedule.status
    failures = {each: log.failure.type for each, log in progress.logs.items() if log.failure}
    sources = tuple(
        Source(name=task_id, text=text[:MAX_SHOWN]) for task_id, text in progress.handoffs.items()
    )
    return _orchestrators(
        progress,
        REVIEW_SUBJECT,
        Purpose.REVIEW,
        review_ask(status, progress.plan, failures),
        sources=sources,
        output=review_schema(progress.team, status, progress.plan.result),
    )


def answer_assignment(progress: Progress) -> Assignment:
    """The final answer, from the goal and the result tasks' hand-offs."""
    results = tuple(
        Source(name=task_id, text=progress.handoffs[task_id]) for task_id in progress.result_ids()
    )
    return _orchestrators(progress, ANSWER_SUBJECT, Purpose.FINAL, FINAL_ASK, sources=results)


def _orchestrators(
    progress: Progress, subject: str, purpose: Purpose, ask: str, **more: Any
) -> Assignment:
    """The goal is put anew into every one of the orchestrator's calls."""
    return Assignment(
        agent=ORCHESTRATOR_AGENT,
        caller=progress.team.orchestrator,
        subject=subject,
        system=orchestrator_text(progress.team),
        goal=progress.goal,
        ask=ask,
        purpose=purpose,
        **more,
    )
