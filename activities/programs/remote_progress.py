"""What the next attempt must know of a remote task: it travels in the heartbeat's details."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from pydantic import Field, ValidationError
from temporalio import activity

from durable_agent_team.contracts.base import Message
from durable_agent_team.contracts.call import MAX_REMOTE_TASK


class RemoteProgress(Message):
    """So that a task that the agent has is continued, and not given twice."""

    remote_task: str | None = Field(None, max_length=MAX_REMOTE_TASK)
    """The agent's id of the task that it works on."""
    ended: int = Field(0, ge=0)
    """How many of its tasks ended without an answer in this execution: the next is a new one."""
    replied: bool = False
    """The person's answer has arrived there."""


class Progress:
    """The newest `RemoteProgress` of one attempt, which goes with every heartbeat."""

    def __init__(
        self, earlier: RemoteProgress | None = None, beat: Callable[[], None] | None = None
    ) -> None:
        """`beat` sends a heartbeat at once."""
        self.now = earlier or RemoteProgress()
        self._beat = beat

    def save(self, **changes: Any) -> None:
        """A change is heartbeated at once, since the worker may die at any time."""
        self.now = self.now.model_copy(update=changes)
        if self._beat is not None:
            self._beat()

    def details(self) -> tuple[RemoteProgress, ...]:
        """For a heartbeat, after the spend; nothing for a program that is a process."""
        return () if self.now == RemoteProgress() else (self.now,)


def earlier_progress() -> RemoteProgress:
    """The progress of the attempt before, from its last heartbeat."""
    for detail in activity.info().heartbeat_details[1:2]:
        with suppress(ValidationError):
            return RemoteProgress.model_validate(detail)
    return RemoteProgress()
