"""Makes the assignments: a specialist never sees the goal, the orchestrator always does."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from durable_agent_team.contracts.call import Purpose, Source
from durable_agent_team.contracts.names import ORCHESTRATOR_AGENT
from durable_agent_team.contracts.team import Agent, Caller
from durable_agent_team.contracts.text_ref import Text
from durable_agent_team.rules.briefing import Briefing, PlanForm, plan_form
from durable_agent_team.rules.catalog import caller_of
from durable_agent_team.rules.planning import plan_ask, plan_schema
from durable_agent_team.rules.planning_room import most_added, planning_tokens
from durable_agent_team.rules.prompts import (
    FINAL_ASK,
    orchestrator_text,
    system_text,
    task_sources,
)
from durable_agent_team.rules.review import MAX_SHOWN, review_ask, review_schema
from workflows.state.planning_terms import PlanningTerms
from workflows.state.progress import Progress
from workflows.tasks.call_requests import Assignment

PLAN_SUBJECT = "plan"
ANSWER_SUBJECT = "answer"
REVIEW_SUBJECT = "review"


def task_assignment(progress: Progress, task_id: str) -> Assignment:
    """A specialist's task: the agent's role, the task's `ask`, and its checked inputs."""
    team = progress.team
    task = progress.tasks.schedule.tasks[task_id]
    agent = team.agents[task.agent]
    return Assignment(
        agent=task.agent,
        caller=agent,
        subject=task_id,
        system=system_text(agent),
        ask=task.ask,
        sources=task_sources(team, task, progress.sources, progress.tasks.handoffs),
        missing=tuple(each for each in task.depends_on if each not in progress.tasks.handoffs),
        output=task.output,
        checks=task.checks,
    )


def with_current_settings(progress: Progress, assignment: Assignment) -> Assignment:
    """The same assignment, with its agent's settings as they are now; itself if these are the
    same."""
    return with_settings(progress, assignment, caller_of(progress.team, assignment.agent))


def with_settings(progress: Progress, assignment: Assignment, caller: Caller) -> Assignment:
    """The same assignment, with these settings of its agent; itself if it has them already."""
    if caller is assignment.caller:
        return assignment
    if isinstance(caller, Agent):
        return replace(assignment, caller=caller, system=system_text(caller))
    team = progress.team.model_copy(update={"orchestrator": caller})
    return replace(assignment, caller=caller, system=orchestrator_text(team))


def begin_planning(progress: Progress, subject: str) -> None:
    """Fixes the terms of a plan or a review, unless an earlier execution has asked for it."""
    if subject in progress.open_calls:
        return
    team, catalog = progress.team, progress.catalog
    available_usd = progress.accounts[ORCHESTRATOR_AGENT].available_usd
    progress.planning = PlanningTerms(
        form=plan_form(team, catalog),
        left_usd=_left_usd(progress),
        max_tokens=planning_tokens(team, catalog, available_usd),
        most_added=most_added(team, catalog),
    )


def planning_briefing(progress: Progress) -> Briefing:
    """What the orchestrator is told: on the terms of the step that has begun."""
    return Briefing(
        team=progress.team,
        goal=progress.goal,
        form=progress.planning.form,
        documents=progress.sources,
        catalog=progress.catalog,
        left_usd=progress.planning.left_usd,
        max_tokens=progress.planning.max_tokens,
        most_added=progress.planning.most_added,
    )


def judging_briefing(progress: Progress) -> Briefing:
    """What its answer is judged by: the money that there is now."""
    return replace(planning_briefing(progress), left_usd=_left_usd(progress))


def _left_usd(progress: Progress) -> dict[str, Decimal]:
    accounts = progress.accounts
    return {name: accounts[name].remaining_usd for name in progress.team.agents if name in accounts}


def plan_assignment(progress: Progress) -> Assignment:
    """To decompose the goal, under a schema that is derived from the team."""
    briefing = planning_briefing(progress)
    return _for_orchestrator(
        progress,
        PLAN_SUBJECT,
        Purpose.PLAN,
        plan_ask(briefing),
        output=plan_schema(briefing),
        max_tokens=briefing.max_tokens,
        checked_by_workflow=briefing.form is PlanForm.WHOLE,
    )


def review_assignment(progress: Progress) -> Assignment:
    """To review the plan: hand-offs as sources, cut; failures in the `ask`; the goal restated."""
    tasks = progress.tasks
    assert tasks.plan is not None
    status = tasks.schedule.status
    failures = {each: log.failure.type for each, log in tasks.logs.items() if log.failure}
    sources = tuple(_beginning(task_id, text) for task_id, text in tasks.handoffs.items())
    briefing = planning_briefing(progress)
    return _for_orchestrator(
        progress,
        REVIEW_SUBJECT,
        Purpose.REVIEW,
        review_ask(briefing, status, tasks.plan, failures, progress.reviews + 1),
        sources=sources,
        output=review_schema(briefing, status, tasks.plan.result),
        max_tokens=briefing.max_tokens,
        checked_by_workflow=briefing.form is PlanForm.WHOLE,
    )


def answer_assignment(progress: Progress) -> Assignment:
    """To write the final answer from the goal and the hand-offs of the result tasks."""
    results = tuple(
        Source.of(task_id, progress.tasks.handoffs[task_id])
        for task_id in progress.tasks.result_ids()
    )
    return _for_orchestrator(progress, ANSWER_SUBJECT, Purpose.FINAL, FINAL_ASK, sources=results)


def _beginning(task_id: str, text: Text) -> Source:
    """A hand-off as a review sees it."""
    if isinstance(text, str):
        return Source(name=task_id, text=text[:MAX_SHOWN])
    return Source.of(task_id, text).model_copy(update={"first": MAX_SHOWN})


def _for_orchestrator(
    progress: Progress, subject: str, purpose: Purpose, ask: str, **more: Any
) -> Assignment:
    """The goal is part of every call of the orchestrator."""
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
