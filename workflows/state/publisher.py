"""What the Temporal UI shows of a run while it goes on: details, memo and search attributes.

The memo is written in workflow tasks that order nothing, and that is more than showing: after one
without any command, a worker that replays can be given an activity's end and a later update in
another order than the history has them, and the run stands still (docs/adr/016).
"""

from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.common import SearchAttributeKey

from durable_agent_team.contracts.names import ATTRIBUTE_SPENT, ATTRIBUTE_STATUS, ATTRIBUTE_TEAM
from durable_agent_team.contracts.run import RunStatus
from workflows.state.open_tasks import OPEN_TASKS
from workflows.state.progress import Progress, is_terminal
from workflows.state.ui_details import details

TEAM = SearchAttributeKey.for_keyword(ATTRIBUTE_TEAM)
STATUS = SearchAttributeKey.for_keyword(ATTRIBUTE_STATUS)
SPENT = SearchAttributeKey.for_float(ATTRIBUTE_SPENT)

PAUSE = timedelta(seconds=10)
"""Between two changes of the search attributes: each costs an event of the history."""

PASSING = frozenset({RunStatus.STARTING, RunStatus.FINISHING, RunStatus.CLOSING})
"""Not worth an event of their own: the next status follows at once."""


class Publisher:
    """Renders at most once for all that happens in one workflow task."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._due = False
        self._published: RunStatus | None = None
        self._published_at: datetime | None = None
        self._told_at = 0
        self._ordered = 0

    def changed(self) -> None:
        """Something that people look at has changed."""
        self._due = True

    async def watch(self) -> None:
        """Shows what has changed, when all else of the workflow task is done. Never returns."""
        while True:
            await workflow.wait_condition(lambda: self._due)
            self.flush()

    def flush(self) -> None:
        """Shows the run as it is now."""
        self._due = False
        progress = self._progress
        workflow.set_current_details(details(progress))
        status = progress.status_now
        now = workflow.info().get_current_history_length()
        silent, self._ordered = progress.ordered == self._ordered, progress.ordered
        if self._is_due(status):
            self._told_at = now
            self._published, self._published_at = status, workflow.now()
            workflow.upsert_search_attributes(
                [
                    TEAM.value_set(progress.team_name),
                    STATUS.value_set(str(status)),
                    SPENT.value_set(float(progress.spent_usd)),
                ]
            )
        elif silent and self._told_at != now:  # each of them costs the server a write
            self._told_at = now
            workflow.upsert_memo({"done": progress.tasks_done, "spent": str(progress.spent_usd)})
        # Last: a run that leaves the worker's memory is stopped above, and is not shown again.
        OPEN_TASKS.show(
            workflow.info().run_id, progress.team_name, progress.schedule.status.values()
        )

    def _is_due(self, status: RunStatus) -> bool:
        if status in PASSING:
            return False
        if status is self._published and is_terminal(status):
            return False
        since = self._published_at
        return status is not self._published or since is None or workflow.now() - since >= PAUSE
