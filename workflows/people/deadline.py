"""The time after which a run starts no new call: a durable timer that can be moved."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

from temporalio import workflow

from workflows.state.progress import Progress


class Deadline:
    """Stops the run, and then calls `on_reached`. A run without a deadline has no timer."""

    def __init__(self, progress: Progress, on_reached: Callable[[], None]) -> None:
        self._progress = progress
        self._on_reached = on_reached
        self._timer: asyncio.Task[None] | None = None

    def set(self, at: datetime | None) -> None:
        """Replaces the deadline, or removes it. One in the past is reached at once."""
        self.cancel_timer()
        self._progress.deadline = at = at.astimezone(UTC) if at else None
        if at is not None:
            self._timer = asyncio.create_task(self._wait(at))

    def cancel_timer(self) -> None:
        """Cancels the timer; `state` still shows the deadline."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _wait(self, at: datetime) -> None:
        left = at - workflow.now()
        await workflow.sleep(left, summary=f"deadline · {shown(at)}")
        self._progress.stop(f"the deadline, {shown(at)}, has come")
        self._on_reached()


def shown(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
