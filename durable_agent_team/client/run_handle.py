"""A handle to one run: its plan, changes and result. `run_queries.py` has what it answers,
`run_control.py` what changes it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

from pydantic import ValidationError
from temporalio.api.enums.v1 import (
    EventType,
    PendingActivityState,
    PendingWorkflowTaskState,
)
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import (
    WorkflowExecutionStatus,
    WorkflowFailureError,
)
from temporalio.exceptions import ApplicationError, TerminatedError

from durable_agent_team.blobs.texts import report_in_full
from durable_agent_team.client.exceptions import (
    RunAborted,
    RunRefused,
    translated,
)
from durable_agent_team.client.run_executions import started_at
from durable_agent_team.client.run_history import read_record
from durable_agent_team.client.run_plan import read_plan
from durable_agent_team.client.run_queries import RunQueries
from durable_agent_team.client.run_texts import texts_of
from durable_agent_team.client.terminated_runs import (
    TERMINATED_STATUSES,
    report_of,
)
from durable_agent_team.contracts.base import Message
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.plan_in_full import PlanInFull
from durable_agent_team.contracts.run import RunReport
from durable_agent_team.process.called_program import starter_command


class Change(Message):
    """The newest event of a run's history when something has changed."""

    event_id: int
    event: str
    at: datetime


class RunHandle(RunQueries):
    """One run. After a reset, or continued as new, the methods use its latest execution.

    Every method raises `RunNotFound` and `ServiceUnavailable`, and what its docstring adds.
    """

    async def plan(self) -> PlanInFull | None:
        """Every task in full, and the most that they can cost. Needs no worker. None where there is
        no plan yet, or where it cannot be read."""
        return await read_plan(self._client, self.id)

    async def result(self) -> RunReport:
        """Waits for the end and returns the report, also of a failed or cancelled run.

        Needs no worker once the run has ended. Raises `RunRefused`
        (the input was wrong, nothing was spent), `RunAborted` (ended without a report) and
        `TextsUnavailable`.
        """
        while True:
            with translated(self.id):
                try:
                    latest = self._client.get_workflow_handle(self.id, result_type=RunReport)
                    report: RunReport = await latest.result()
                except WorkflowFailureError as error:
                    if isinstance(error.cause, TerminatedError) and not await self._is_terminated():
                        continue  # a reset ended that execution and started a new one
                    report = _report_of(self.id, error)
                return await report_in_full(report, texts_of(self._client))

    async def report(self) -> RunReport:
        """The report of a run that has ended.

        For one that was terminated in Temporal, or timed out, it is made from the run's last
        answers, which needs a worker: without one it raises `NoWorker`.
        """
        found = await self._describe()
        if found.status not in TERMINATED_STATUSES or found.close_time is None:
            return await self.result()
        state, spend = await self.whole_state(), await self.spend()
        return report_of(state, spend, await read_record(self._client, self.id), found.close_time)

    async def is_open(self) -> bool:
        """Whether it is still running. Needs no worker."""
        return (await self._describe()).status == WorkflowExecutionStatus.RUNNING

    async def _is_terminated(self) -> bool:
        return (await self._describe()).status == WorkflowExecutionStatus.TERMINATED

    async def started_at(self) -> datetime:
        """When the run began: its first execution, if it has continued as new. Needs no worker."""
        return await started_at(await self._describe())

    async def not_taken(self) -> frozenset[str]:
        """Activity attempts and workflow tasks that no worker has taken yet, by unique names.

        One that stays means that the worker is gone. Needs no worker."""
        raw = (await self._describe()).raw_description
        calls = {
            f"activity {each.activity_id}, attempt {each.attempt}"
            for each in raw.pending_activities
            if each.state == PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED
        }
        task = raw.pending_workflow_task
        waits = task.state == PendingWorkflowTaskState.PENDING_WORKFLOW_TASK_STATE_SCHEDULED
        decision = {f"workflow task of {task.scheduled_time.ToNanoseconds()}"} if waits else set()
        return frozenset(calls | decision)

    async def changes(self) -> AsyncIterator[Change]:
        """Yields when something has changed, until the run ends: a long poll of the history.

        It adds nothing to the history, needs no worker, and any number of callers may use it at
        once. Events that arrive together are one change, with the last of them.
        """
        while True:
            with translated(self.id):
                events = self._handle.fetch_history_events(wait_new_event=True)
                more = True
                while more:
                    await events.fetch_next_page()
                    more = events.next_page_token is not None
                    if page := events.current_page:
                        yield _change(page[-1])
            if not await self.is_open():
                return


def _change(event: HistoryEvent) -> Change:
    name = EventType.Name(event.event_type).removeprefix("EVENT_TYPE_").lower()
    return Change(event_id=event.event_id, event=name, at=event.event_time.ToDatetime(UTC))


def _report_of(run: str, error: WorkflowFailureError) -> RunReport:
    """The report of a failed or cancelled run, from the details of its error."""
    cause = error.cause
    if not isinstance(cause, ApplicationError):
        how = "terminated in Temporal" if isinstance(cause, TerminatedError) else "ended"
        command = starter_command("reconcile", run)
        raise RunAborted(
            f"run {run}: {how} without a report ({cause}); `{command}` closes its accounts and"
            " shows what it spent"
        ) from error
    if cause.type in (ErrorType.RUN_FAILED, ErrorType.RUN_CANCELLED) and cause.details:
        try:
            return RunReport.model_validate(cause.details[0])
        except ValidationError as unreadable:
            raise RunAborted(
                f"run {run} failed: {cause.message}; its report is of another version"
            ) from unreadable
    if cause.type == ErrorType.INVALID_INPUT:
        raise RunRefused(f"run {run} was refused: {cause.message}") from error
    raise RunAborted(f"run {run} failed ({cause.type}): {cause.message}") from error
