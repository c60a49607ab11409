"""The attempts of a call within one activity. Temporal keeps their number and the last failure: in
the history of a call that has ended, and in the description of a run while one is in flight."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from temporalio.api.failure.v1 import Failure
from temporalio.client import Client

from durable_agent_team.client.exceptions import translated

if TYPE_CHECKING:
    from durable_agent_team.client.run_history import RunRecord


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


async def with_pending_attempts(client: Client, record: "RunRecord") -> "RunRecord":
    """The record, with the attempts of the calls that are in flight. Raises a RunError."""
    if all(call.ended_at is not None for call in record.calls):
        return record
    with translated(record.id):
        described = await client.get_workflow_handle(record.id).describe()
    pending = {
        each.activity_id: Attempts(
            max(each.attempt, 1),
            failure_text(each.last_failure) if each.HasField("last_failure") else "",
            each.next_attempt_schedule_time.ToDatetime(UTC)
            if each.HasField("next_attempt_schedule_time")
            else None,
        )
        for each in described.raw_description.pending_activities
    }
    calls = tuple(
        replace(call, attempts=pending.get(call.activity_id, call.attempts))
        if call.ended_at is None
        else call
        for call in record.calls
    )
    return replace(record, calls=calls)
