"""How a task can end without a hand-off. Expected, so none of these ever leaves the workflow."""

import asyncio

from durable_agent_team.contracts.run import Failure


class TaskFailed(Exception):
    """There will be no answer. Whoever asked decides what becomes of it."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class TaskSkipped(Exception):
    """There will be no answer, and the agent's policy says to go on without it."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class AgentChanged(Exception):
    """The call has not started, and its agent has other settings now than when it was made."""


def was_cancelled() -> bool:
    """An activity that returns after a cancellation counts as a success and swallows it."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
