"""Gives a workflow task that changed something a command, where it issues no other.

After one without any command, a replaying worker can receive an activity's result and a later
update in another order than the history has them, and the run gets stuck (docs/adr/016). The
command is a timer that nobody waits for, or its cancellation: the cheapest one (docs/adr/057).
"""

import asyncio
from datetime import timedelta
from typing import Final

from temporalio import workflow

from workflows.activity_executor import ActivityExecutor
from workflows.state.progress import Progress

TIMER: Final = timedelta(days=1)
"""It rarely fires: most are cancelled by the next mark, or end with the run. Temporal keeps an
entry for so long."""


class TaskMarks:
    """The marks of one execution."""

    def __init__(self, progress: Progress, activities: ActivityExecutor) -> None:
        self._progress = progress
        self._activities = activities
        self.is_exact = activities.counts_all
        """Marks only workflow tasks that need it. Runs of format 1 are marked by the memo, and also
        where an uncounted or a local activity follows in the same workflow task."""
        self._has_command_at = 0
        """The length of the history in the last workflow task that is known to have a command."""
        self._commands_issued = 0
        self._timer: asyncio.Task[None] | None = None

    def mark(self, *, has_command: bool) -> None:
        """Marks the workflow task, unless it `has_command`, has started an activity, or has a
        mark."""
        length = workflow.info().get_current_history_length()
        starts = self._starts_activity(length)
        if has_command or (starts and self.is_exact):
            self._has_command_at = length
        elif not starts and self._has_command_at != length:
            self._has_command_at = length
            self._issue()

    def _starts_activity(self, length: int) -> bool:
        """In this workflow task; in a run of format 1, since the last call of this method."""
        if self.is_exact:
            return self._activities.last_command_at == length
        before, self._commands_issued = self._commands_issued, self._activities.commands_issued
        return before != self._commands_issued

    def _issue(self) -> None:
        if not self.is_exact:
            self._write_memo()
        elif self._timer is None:
            self._timer = asyncio.create_task(self._wait())
        else:
            self._timer.cancel()
            self._timer = None

    async def _wait(self) -> None:
        await workflow.sleep(TIMER, summary="no wait · keeps replays in order")
        self._timer = None
        self._write_memo()  # the workflow task of the timer needs a command, too

    def _write_memo(self) -> None:
        progress = self._progress
        workflow.upsert_memo({"done": progress.tasks_done, "spent": str(progress.spent_usd)})
