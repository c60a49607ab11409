"""What a call in trouble looks like: which attempt is next, why, and when."""

import re

from durable_agent_team.cli.output import flat
from durable_agent_team.contracts.run import Retrying, RetryState


def retry_text(retry: RetryState) -> str:
    """Such as `running, attempt 3 of 8: rate limited, next at 14:02:10` (UTC)."""
    next_at = f", next at {retry.next_at:%H:%M:%S}" if retry.next_at else ""
    return f"running, attempt {retry.attempt} of {retry.of}: {words_of(retry.type)}{next_at}"


def retrying_text(call: Retrying) -> str:
    """The same with the task, what the server said, and how long it is waited out."""
    until = f" until {call.until:%H:%M:%S}" if call.until else ""
    return f"{call.subject} ({call.agent}): {retry_text(call)}{until}: {flat(call.message)}"


def words_of(error_type: str) -> str:
    """`rate limited` for `RateLimited`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", error_type).lower()
