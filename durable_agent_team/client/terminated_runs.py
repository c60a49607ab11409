"""Corrects the answers of runs that were terminated in Temporal, or timed out.

The code of such a run did not see its end, so its queries still answer as in its last moment:
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
"""Temporal's status of such a run, and the run status that is reported for it."""

OPEN_STATUSES: Final = {TaskStatus.WAITING, TaskStatus.READY, TaskStatus.RUNNING, TaskStatus.PARKED}

QueryAnswer = TypeVar("QueryAnswer", RunState, SpendReport)
"""The answers of a run's queries."""


def as_ended(answer: QueryAnswer, status: RunStatus, at: datetime) -> QueryAnswer:
    """The last answer of a run, corrected: it has ended, and nothing runs or waits."""
    if isinstance(answer, SpendReport):
        agents = tuple(_agent(agent) for agent in answer.agents)
        return answer.model_copy(update={"agents": agents, "cut_off": True})
    tasks = tuple(_task(task, at) for task in answer.tasks)
    ended = {"status": status, "tasks": tasks, "waiting": (), "paused": False, "tool_calls": ()}
    return answer.model_copy(update=ended)


def _agent(agent: AgentSpend) -> AgentSpend:
    if agent.status not in (AgentStatus.WORKING, AgentStatus.PARKED):
        return agent
    return agent.model_copy(update={"status": AgentStatus.IDLE})


def _task(task: TaskState, at: datetime) -> TaskState:
    if task.status not in OPEN_STATUSES:
        return task
    ended = at if task.started_at is not None else None
    return task.model_copy(update={"status": TaskStatus.CANCELLED, "ended_at": ended})


def report_of(
    state: RunState, spend: SpendReport, record: RunRecord, ended_at: datetime
) -> RunReport:
    """The report that the run could not make itself. It has no answer."""
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
