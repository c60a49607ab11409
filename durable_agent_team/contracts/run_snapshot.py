"""The start input of a run's next execution, after it has continued as new."""

import zlib
from base64 import b64decode, b64encode
from typing import Final, Literal

from pydantic import Field

from durable_agent_team.contracts.base import Message

LARGEST_STATE: Final = 64_000_000
"""Bytes of JSON. A text that unpacks to more was not made here."""


class RunSnapshot(Message):
    """Everything that the run knows. Only the workflow makes it and reads it.

    It is read only where Temporal says that the execution continues an earlier one: a run cannot be
    started with it.
    """

    format: Literal[1] = 1
    execution: int = Field(ge=2)
    """The number of the execution that starts with it."""
    state: str
    """JSON, compressed, in base64."""

    @classmethod
    def of(cls, execution: int, state: bytes) -> "RunSnapshot":
        packed = b64encode(zlib.compress(state)).decode()
        return cls(format=1, execution=execution, state=packed)

    def json_state(self) -> bytes:
        """The state as JSON. Raises ValueError."""
        unpacking = zlib.decompressobj()
        try:
            state = unpacking.decompress(b64decode(self.state, validate=True), LARGEST_STATE)
        except zlib.error as error:
            raise ValueError(str(error)) from error
        if not unpacking.eof:
            raise ValueError(f"incomplete, or more than {LARGEST_STATE} bytes")
        return state
