"""Notifies a webhook when something waits for an operator: one POST, retried by Temporal."""

import httpx
from temporalio import activity
from temporalio.exceptions import ApplicationError

from durable_agent_team.contracts.activity_interfaces import NotificationActivities
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.notification import Notification

TIMEOUT_SECONDS = 10


class Notifications(NotificationActivities):
    """Posts to the team's `notify_url`; the response's body is ignored."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    @activity.defn
    async def notify(self, notification: Notification) -> None:
        """One POST of the notification as JSON; any 2xx is a success."""
        try:
            answer = await self._http.post(
                notification.url,
                content=notification.model_dump_json(exclude={"url"}),
                headers={"Content-Type": "application/json"},
                timeout=TIMEOUT_SECONDS,
            )
        except httpx.HTTPError as error:
            raise _not_notified(type(error).__name__) from None
        if not answer.is_success:
            raise _not_notified(f"HTTP {answer.status_code}")


def _not_notified(why: str) -> ApplicationError:
    """Without the URL, which is often a webhook's secret."""
    return ApplicationError(f"notify_url: {why}", type=ErrorType.UPSTREAM_UNAVAILABLE.value)
