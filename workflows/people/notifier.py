"""Notifies people outside, at the team's `notify_url`, of what its `notify_on` lists."""

import asyncio
from types import MappingProxyType

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

from durable_agent_team.contracts.activity_interfaces import NotificationActivities
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.notification import Notification, RunEnd
from durable_agent_team.contracts.run import RunStatus, Waiting
from durable_agent_team.contracts.team import NotifyOn
from workflows.activity_executor import ActivityExecutor
from workflows.policies import ActivityOptions, ending_notification_options, notification_options
from workflows.state.progress import Progress
from workflows.state.waiting_list import run_command

ENDS_ARE_NOTIFIED = "ends-are-notified"
"""The patch since which the end of a run, and a plan that waits, are notified."""

ENDINGS = MappingProxyType(
    {
        RunStatus.FAILED: NotifyOn.FAILED,
        RunStatus.COMPLETED: NotifyOn.COMPLETED,
        RunStatus.CANCELLED: NotifyOn.CANCELLED,
    }
)


class Notifier:
    """A notification that fails is logged, and fails nothing."""

    def __init__(self, progress: Progress, activities: ActivityExecutor) -> None:
        self._progress = progress
        self._activities = activities
        self._unpaid: set[str] = set()
        """Upstreams of which a notification is under way."""

    def parked(self, waiting: Waiting) -> "asyncio.Task[None]":
        """Notifies that a call has parked. The caller cancels the task when the call is woken. For
        an upstream that has to be paid, one notification goes out for all calls."""
        if waiting.type == ErrorType.UPSTREAM_OUT_OF_FUNDS:
            return asyncio.create_task(self._out_of_funds(waiting))
        return asyncio.create_task(self._parked(waiting))

    def approval_waits(self, waiting: Waiting) -> "asyncio.Task[None] | None":
        """Notifies that something waits for approval."""
        if not self._is_wanted(NotifyOn.WAITING) or not workflow.patched(ENDS_ARE_NOTIFIED):
            return None
        return asyncio.create_task(self._parked(waiting))

    async def ended(self, status: RunStatus) -> None:
        """Notifies that the run has ended. Returns within half a minute, notified or not."""
        if not self._is_wanted(ENDINGS[status]) or not workflow.patched(ENDS_ARE_NOTIFIED):
            return
        progress = self._progress
        end = RunEnd(
            status=status,
            failure=progress.failure,
            cancel_reason=progress.cancel_reason,
            spent_usd=progress.spent_usd,
            tasks_done=progress.tasks_done,
            tasks_total=len(progress.tasks.schedule.status),
            ended_at=workflow.now(),
            command=run_command("result", progress.workflow_id),
        )
        notification = self._notification().model_copy(update={"ended": end})
        await self._send(notification, ending_notification_options(), str(status))

    async def _parked(self, waiting: Waiting) -> None:
        if not self._is_wanted(NotifyOn.WAITING) or waiting.subject in self._progress.notified:
            return
        notification = self._notification().model_copy(update={"waiting": waiting})
        await self._send(notification, notification_options(), waiting.subject)
        self._progress.notified.add(waiting.subject)
        self._progress.changed()

    async def _out_of_funds(self, waiting: Waiting) -> None:
        """Where the call whose notification is under way is woken, another call's follows, unless
        that was the end of it."""
        name = waiting.upstream or ""
        if not self._is_wanted(NotifyOn.WAITING):
            return
        while name in self._unpaid:
            await workflow.wait_condition(lambda: name not in self._unpaid)
        unpaid = self._progress.unpaid.get(name)
        if unpaid is None or unpaid.notified:
            return
        self._unpaid.add(name)
        try:
            notification = self._notification().model_copy(update={"waiting": waiting})
            await self._send(notification, notification_options(), name or waiting.subject)
            unpaid.notified = True
        finally:
            self._unpaid.discard(name)

    def _is_wanted(self, event: NotifyOn) -> bool:
        request = self._progress.request
        return (
            request is not None
            and bool(request.team.notify_url)
            and event in request.team.notify_on
        )

    def _notification(self) -> Notification:
        team = self._progress.team
        assert team.notify_url is not None
        return Notification(
            url=team.notify_url, workflow_id=self._progress.workflow_id, team=team.name
        )

    async def _send(self, notification: Notification, options: ActivityOptions, about: str) -> None:
        try:
            await self._activities.execute_uncounted(
                NotificationActivities.notify, notification, options, summary=f"notify · {about}"
            )
        except ActivityError as error:
            if not is_cancelled_exception(error):  # cancelled: the call was woken already
                workflow.logger.warning("no notification was sent (%s): %s", about, error)
