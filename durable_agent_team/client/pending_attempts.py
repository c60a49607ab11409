"""The attempts of calls in flight: they are in the description of a run, and not in its history."""

from dataclasses import replace
from datetime import UTC

from temporalio.client import Client

from durable_agent_team.client.attempts import Attempts, failure_text
from durable_agent_team.client.exceptions import translated
from durable_agent_team.client.run_history import RunRecord


async def with_pending_attempts(client: Client, record: RunRecord) -> RunRecord:
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
