"""The moment from which a run starts nothing new: a durable timer that can be moved."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

from temporalio import workflow

from workflows.state.progress import Progress


class Deadline:
    """`come` is called when it is there. Without one it costs a run nothing."""

    def __init__(self, progress: Progress, come: Callable[[], None]) -> None:
        self._progress = progress
        self._come = come
        self._waiting: asyncio.Task[None] | None = None

    def set(self, at: datetime | None) -> None:
        """Another time, or none. A time that is past is there at once."""
        self.forget()
        self._progress.deadline = at = at.astimezone(UTC) if at else None
        if at is not None:
            self._waiting = asyncio.create_task(self._wait(at))

    def forget(self) -> None:
        """Its timer goes; `state` still shows what it was."""
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    async def _wait(self, at: datetime) -> None:
        left = at - workflow.now()
        await workflow.sleep(left, summary=f"deadline · {shown(at)}")
        self._progress.stop(f"the deadline, {shown(at)}, has come")
        self._come()


def shown(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
