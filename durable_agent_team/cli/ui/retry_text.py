"""What a call in trouble looks like: which attempt is next, why, and when."""

import re
from datetime import datetime

from durable_agent_team.cli.output import flat
from durable_agent_team.contracts.run import Retrying, RetryState


def retry_text(retry: RetryState, until: datetime | None = None) -> str:
    """Such as `running, attempt 3 of 8: rate limited, next at 14:02:10 until 15:02:05 UTC`; a time
    of another day has its date."""
    text = f"running, attempt {retry.attempt} of {retry.of}: {words_of(retry.type)}"
    if retry.next_at is None and until is None:
        return text
    times = [f"next at {retry.next_at:%H:%M:%S}"] if retry.next_at else []
    if until is not None:
        is_same_day = retry.next_at is not None and retry.next_at.date() == until.date()
        times.append(f"until {until:{'%H:%M:%S' if is_same_day else '%Y-%m-%d %H:%M:%S'}}")
    return f"{text}, {' '.join(times)} UTC"


def retrying_text(call: Retrying) -> str:
    """The same with the task, what the server said, and how long it is waited out."""
    return f"{call.subject} ({call.agent}): {retry_text(call, call.until)}: {flat(call.message)}"


def words_of(error_type: str) -> str:
    """`rate limited` for `RateLimited`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", error_type).lower()
