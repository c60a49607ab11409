"""What the next attempt must know of a remote task: it travels in the heartbeat's details."""

from contextlib import suppress

from pydantic import Field, ValidationError
from temporalio import activity

from activities.programs.remote.remote_task import MAX_TASK_ID
from durable_agent_team.contracts.base import Message


class RemoteProgress(Message):
    """So that a task that the agent has is gone on with, and not given twice."""

    remote_task: str | None = Field(None, max_length=MAX_TASK_ID)
    """The agent's id of the task that it works on."""
    ended: int = Field(0, ge=0)
    """How many of its tasks ended without an answer in this execution: the next is a new one."""
    replied: bool = False
    """The person's answer has arrived there."""


class Progress:
    """The newest `RemoteProgress` of one attempt, which goes with every heartbeat."""

    def __init__(self, earlier: RemoteProgress | None = None) -> None:
        self.now = earlier or RemoteProgress()

    def save(self, **changes: object) -> None:
        """A change is heartbeated at once, since the worker may die at any time."""
        self.now = self.now.model_copy(update=changes)
        if activity.in_activity():
            activity.heartbeat(*self.heartbeat_details())

    def heartbeat_details(self) -> tuple[object, ...]:
        return (self.now,)


def earlier_progress() -> RemoteProgress:
    """From the last heartbeat of the attempt before."""
    for detail in activity.info().heartbeat_details:
        if isinstance(detail, dict) and set(detail) & set(RemoteProgress.model_fields):
            with suppress(ValidationError):
                return RemoteProgress.model_validate(detail)
    return RemoteProgress()
