"""Shows a run in the Temporal UI while it works: details and search attributes."""

from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.common import SearchAttributeKey

from durable_agent_team.contracts.names import ATTRIBUTE_SPENT, ATTRIBUTE_STATUS, ATTRIBUTE_TEAM
from durable_agent_team.contracts.run import RunStatus
from workflows.activity_executor import ActivityExecutor
from workflows.state.open_tasks import OPEN_TASKS
from workflows.state.progress import Progress, is_terminal
from workflows.state.task_marks import TaskMarks
from workflows.state.ui_details import details

TEAM = SearchAttributeKey.for_keyword(ATTRIBUTE_TEAM)
STATUS = SearchAttributeKey.for_keyword(ATTRIBUTE_STATUS)
SPENT = SearchAttributeKey.for_float(ATTRIBUTE_SPENT)

MIN_INTERVAL = timedelta(seconds=10)
"""Between two updates of the search attributes while the status stays: each costs an event."""

TRANSIENT = frozenset({RunStatus.STARTING, RunStatus.FINISHING, RunStatus.CLOSING})
"""Not worth an event of their own: the next status follows at once."""


class Publisher:
    """Publishes at most once for everything that happens in one workflow task."""

    def __init__(self, progress: Progress, activities: ActivityExecutor) -> None:
        self._progress = progress
        self._marks = TaskMarks(progress, activities)
        self._published: RunStatus | None = None
        self._published_at: datetime | None = None

    async def watch(self) -> None:
        """Publishes changes, after everything else in a workflow task is done. Never returns."""
        while True:
            await workflow.wait_condition(lambda: self._progress.unpublished)
            if self._marks.is_exact:  # what else waited for this moment issues its commands first
                await workflow.wait_condition(lambda: True)
            self.publish()

    def publish(self) -> None:
        """Shows the run as it is now."""
        progress = self._progress
        progress.unpublished = False
        workflow.set_current_details(details(progress))
        status = progress.status_now
        is_due = self._is_due(status)
        if is_due:
            self._published, self._published_at = status, workflow.now()
            workflow.upsert_search_attributes(
                [
                    TEAM.value_set(progress.team_name),
                    STATUS.value_set(str(status)),
                    SPENT.value_set(float(progress.spent_usd)),
                ]
            )
        self._marks.mark(has_command=is_due)
        # Last: a run that is evicted from the worker's memory stops above, and is not counted.
        OPEN_TASKS.show(
            workflow.info().run_id, progress.team_name, progress.tasks.schedule.status.values()
        )

    def _is_due(self, status: RunStatus) -> bool:
        """Whether the search attributes have to be written."""
        if status in TRANSIENT:
            return False
        if status is self._published and is_terminal(status):
            return False
        since = self._published_at
        return (
            status is not self._published or since is None or workflow.now() - since >= MIN_INTERVAL
        )
