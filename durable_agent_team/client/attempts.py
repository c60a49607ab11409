"""The attempts of a call within one activity: Temporal keeps their number and the last failure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from temporalio.api.failure.v1 import Failure


@dataclass(frozen=True)
class Attempts:
    """`number` is that of the last one, `failure` why the one before it failed."""

    number: int = 1
    failure: str = ""
    next_at: datetime | None = None
    """When the next one starts, while the call waits for it."""


ONE_ATTEMPT: Final = Attempts()


def failure_text(failure: Failure) -> str:
    """Such as `RateLimited: …`."""
    while failure.HasField("cause") and not failure.HasField("application_failure_info"):
        failure = failure.cause
    kind = failure.application_failure_info.type
    return f"{kind}: {failure.message}" if kind else failure.message
