"""How a task or a call ends without a result. All of these are caught within the workflow."""

import asyncio
from datetime import timedelta

from durable_agent_team.contracts.run import Failure


class TaskFailed(Exception):
    """There will be no answer. The caller decides what becomes of the task or the run."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class CallInTrouble(Exception):
    """The call is to be attempted again, but not before `retry_after` has passed."""

    def __init__(self, failure: Failure, retry_after: timedelta) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.retry_after = retry_after


class TaskSkipped(Exception):
    """There will be no answer, and the agent's policy says to continue without one."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class AgentChanged(Exception):
    """The call has not started, and its agent's settings have changed since it was made."""


def was_cancelled() -> bool:
    """Whether the current asyncio task was cancelled: an activity that completes after that counts
    as a success and swallows the cancellation."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
