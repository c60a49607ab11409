"""Word to a person when something waits: one POST, retried by Temporal alone."""

import httpx
from temporalio import activity
from temporalio.exceptions import ApplicationError

from durable_agent_team.contracts.activity_interfaces import NotificationActivities
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.notification import Notification

TIMEOUT_SECONDS = 10


class Notifications(NotificationActivities):
    """To the team's `notify_url`. Its answer's body is of no interest, and not read."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    @activity.defn
    async def notify(self, notification: Notification) -> None:
        """One POST of the notification as JSON; any 2xx will do."""
        try:
            answer = await self._http.post(
                notification.url,
                content=notification.model_dump_json(exclude={"url"}),
                headers={"Content-Type": "application/json"},
                timeout=TIMEOUT_SECONDS,
            )
        except httpx.HTTPError as error:
            raise _untold(type(error).__name__) from None
        if not answer.is_success:
            raise _untold(f"HTTP {answer.status_code}")


def _untold(why: str) -> ApplicationError:
    """Without the address: a webhook's address often is its secret."""
    return ApplicationError(f"notify_url: {why}", type=ErrorType.UPSTREAM_UNAVAILABLE.value)
