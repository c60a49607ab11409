"""Runs that Temporal ended at once, terminated or timed out: what their own words mean then.

Such a run could say nothing of its end, so its queries go on answering as in its last moment:
working, with calls in flight.
"""

from datetime import datetime
from typing import Final, TypeVar

from temporalio.client import WorkflowExecutionStatus

from durable_agent_team.client.run_history import RunRecord
from durable_agent_team.contracts.run import (
    RunReport,
    RunState,
    RunStatus,
    TaskOutcome,
    TaskState,
    TaskStatus,
)
from durable_agent_team.contracts.spend import AgentSpend, AgentStatus, SpendReport

TERMINATED_STATUSES: Final = {
    WorkflowExecutionStatus.TERMINATED: RunStatus.TERMINATED,
    WorkflowExecutionStatus.TIMED_OUT: RunStatus.TIMED_OUT,
}
"""How Temporal ended them, in our words."""

UNENDED: Final = {TaskStatus.WAITING, TaskStatus.READY, TaskStatus.RUNNING, TaskStatus.PARKED}


Told = TypeVar("Told", RunState, SpendReport)
"""What a run's queries answer."""


def as_cut_off(said: Told, status: RunStatus, at: datetime) -> Told:
    """What it said last, as it is since: ended, with nothing running and nobody waited for."""
    if isinstance(said, SpendReport):
        agents = tuple(_agent(agent) for agent in said.agents)
        return said.model_copy(update={"agents": agents, "cut_off": True})
    tasks = tuple(_task(task, at) for task in said.tasks)
    ended = {"status": status, "tasks": tasks, "waiting": (), "paused": False}
    return said.model_copy(update=ended)


def _agent(agent: AgentSpend) -> AgentSpend:
    if agent.status not in (AgentStatus.WORKING, AgentStatus.PARKED):
        return agent
    return agent.model_copy(update={"status": AgentStatus.IDLE})


def _task(task: TaskState, at: datetime) -> TaskState:
    if task.status not in UNENDED:
        return task
    ended = at if task.started_at is not None else None
    return task.model_copy(update={"status": TaskStatus.CANCELLED, "ended_at": ended})


def report_of(
    state: RunState, spend: SpendReport, record: RunRecord, ended_at: datetime
) -> RunReport:
    """The report that a run which was cut off could not make: without an answer."""
    return RunReport(
        workflow_id=state.workflow_id,
        team=state.team,
        goal=state.goal,
        status=state.status,
        outcomes=tuple(TaskOutcome(task=task) for task in state.tasks),
        spend=spend,
        cancel_reason=state.cancel_reason,
        failure=state.failure,
        started_at=record.started_at,
        ended_at=ended_at,
        call_seconds=round(sum(call.result.seconds for call in record.calls if call.result), 3),
    )
