"""The start input of a run's next execution, after it has continued as new."""

from typing import Literal

from pydantic import Field

from durable_agent_team.contracts.base import Message


class RunSnapshot(Message):
    """Everything that the run knows. The workflow makes it and reads it; nobody else has to.

    It is read only where Temporal says that the execution continues an earlier one: a run cannot be
    started with it.
    """

    format: Literal[1] = 1
    execution: int = Field(ge=2)
    """The number of the execution that starts with it."""
    state: str
    """Compressed JSON in base64."""
