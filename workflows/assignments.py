"""Who is asked what: a specialist never sees the goal, the orchestrator always does."""

from typing import Any

from contracts.calls import Purpose, Source
from contracts.names import ORCHESTRATOR_AGENT
from workflows.calls import Assignment
from workflows.planning import plan_ask, plan_schema
from workflows.progress import Progress
from workflows.prompts import FINAL_ASK, orchestrator_text, system_text, task_sources

PLAN_SUBJECT = "plan"
ANSWER_SUBJECT = "answer"


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


def plan_assignment(progress: Progress) -> Assignment:
    """Decompose the goal, under a schema that cannot express an unknown agent or a cycle."""
    team = progress.team
    return _orchestrators(
        progress, PLAN_SUBJECT, Purpose.PLAN, plan_ask(team), output=plan_schema(team)
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
