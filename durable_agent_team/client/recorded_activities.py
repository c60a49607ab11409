"""The activities of a run as Temporal's history has them: scheduled, attempted, ended."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import Payloads
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent

from durable_agent_team.client.attempts import ONE_ATTEMPT, Attempts, failure_text

ENDINGS = ("completed", "failed", "timed_out", "canceled")
LOCAL_ACTIVITY = "core_local_activity"
"""The name of the markers in which Temporal's SDK keeps the results of local activities."""
CANCELLED = "cancelled"
"""The failure of an activity that the run gave up. A call among them was finished by the gateway
anyway."""


@dataclass
class RecordedActivity:
    """An activity as a history has it, local ones included."""

    name: str
    input: Payloads
    scheduled_at: datetime
    ended_at: datetime | None = None
    result: Payloads | None = None
    failure: Failure | None = None
    how: str = ""
    """One of `ENDINGS`, or empty while it is open."""
    id: str = ""
    attempts: Attempts = ONE_ATTEMPT


def activities_in(events: list[HistoryEvent]) -> list[RecordedActivity]:
    """The activities of one execution, in the order in which they were scheduled."""
    found: dict[int, RecordedActivity] = {}
    for event in events:
        if event.HasField("activity_task_scheduled_event_attributes"):
            scheduled = event.activity_task_scheduled_event_attributes
            when = time_of(event.event_time)
            found[event.event_id] = RecordedActivity(
                scheduled.activity_type.name, scheduled.input, when, id=scheduled.activity_id
            )
            continue
        if event.HasField("activity_task_started_event_attributes"):
            started = event.activity_task_started_event_attributes
            why = failure_text(started.last_failure) if started.HasField("last_failure") else ""
            found[started.scheduled_event_id].attempts = Attempts(max(started.attempt, 1), why)
            continue
        if event.HasField("marker_recorded_event_attributes"):
            if local := _local_activity(event):
                found[event.event_id] = local
            continue
        for how in ENDINGS:
            field = f"activity_task_{how}_event_attributes"
            if event.HasField(field):  # type: ignore[arg-type]
                end: Any = getattr(event, field)
                activity = found[end.scheduled_event_id]
                activity.ended_at, activity.how = time_of(event.event_time), how
                activity.result = end.result if how == "completed" else None
                activity.failure = end.failure if how in ("failed", "timed_out") else None
    return list(found.values())


def _local_activity(event: HistoryEvent) -> RecordedActivity | None:
    """A local activity leaves one marker, with its result, when it has ended. None for other
    markers."""
    marker = event.marker_recorded_event_attributes
    if marker.marker_name != LOCAL_ACTIVITY or not marker.details["data"].payloads:
        return None
    name = json.loads(marker.details["data"].payloads[0].data).get("activity_type", "")
    when = time_of(event.event_time)
    ended = RecordedActivity(name, Payloads(), when, when)
    if marker.HasField("failure"):
        ended.how, ended.failure = "failed", marker.failure
    else:
        ended.how, ended.result = "completed", marker.details["result"]
    return ended


def failure_of(done: RecordedActivity) -> tuple[str, Payloads | None]:
    """Why an activity failed, as text, and the details of its error if it has any."""
    failure = done.failure
    while failure is not None and failure.HasField("cause"):
        if failure.HasField("application_failure_info"):
            break
        failure = failure.cause
    if failure is None:
        return CANCELLED if done.how == "canceled" else done.how.replace("_", " "), None
    if not failure.HasField("application_failure_info"):
        return f"{done.how.replace('_', ' ')}: {failure.message}", None
    info = failure.application_failure_info
    kind = f"{info.type}: " if info.type else ""
    details = info.details if info.HasField("details") and info.details.payloads else None
    return f"{kind}{failure.message}", details


def time_of(stamp: Timestamp) -> datetime:
    return stamp.ToDatetime(UTC)
