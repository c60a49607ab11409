"""A call that has failed and is going to be attempted again: what its attempts were like so far."""

from dataclasses import dataclass
from datetime import datetime


@dataclass
class CallTrouble:
    """The trouble of one call, over all the activities that attempt it. Times are absolute."""

    agent: str
    model: str
    key: str
    """The call's idempotency key."""
    since: datetime
    """When the first attempt had failed."""
    until: datetime
    """How long an outage is waited out."""
    planned: int
    """About how many attempts that makes."""
    attempts: int = 0
    """How many have failed."""
    counted: int = 0
    """How many of them count against the agent's `max_attempts`."""
    type: str = ""
    """The type of the last failure."""
    message: str = ""
    next_at: datetime | None = None
    """When the next one starts; None once it may, and where that is not known yet."""
