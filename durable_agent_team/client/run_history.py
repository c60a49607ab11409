"""Reads a run's history: its request, its accounts and every paid call. Needs no worker."""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import ValidationError
from temporalio.api.common.v1 import Payloads
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client

from durable_agent_team.client.attempts import ONE_ATTEMPT, Attempts, failure_text
from durable_agent_team.client.exceptions import UpdateRefused, translated
from durable_agent_team.client.recorded_tools import NO_TOOLS, RecordedTools, recorded_tools
from durable_agent_team.client.run_executions import beginning_of, read_executions
from durable_agent_team.contracts.accounts import Capabilities, ClosedAccounts, OpenedAccounts
from durable_agent_team.contracts.call import AccountRef, AttemptSpend, CallRequest, CallResult
from durable_agent_team.contracts.model_catalog import ModelCatalog
from durable_agent_team.contracts.program import ProgramCall
from durable_agent_team.contracts.run import RunRequest
from durable_agent_team.contracts.text_ref import Text

T = TypeVar("T")
PROGRAM = "run_program"
CALLS = ("call_agent", PROGRAM)
"""The activities that cost money."""
ENDINGS = ("completed", "failed", "timed_out", "canceled")
LOCAL_ACTIVITY = "core_local_activity"
"""The name of the markers in which Temporal's SDK keeps the results of local activities."""
CANCELLED = "cancelled"
"""The `failure` of a call that the run gave up; the gateway finished it anyway."""
INTERRUPTED = "cut off by the run's end"
"""What is said of a call that was in flight when its run was terminated."""


@dataclass(frozen=True)
class RecordedCall:
    """One call. Without a result it is in flight, or ended as `failure` says."""

    request: CallRequest
    result: CallResult | None
    failure: str | None
    failed_usd: Decimal
    """What the attempts of a call that failed are known to have cost."""
    scheduled_at: datetime
    ended_at: datetime | None
    read_back_usd: Decimal = Decimal(0)
    """What the run found in the ledger for it, beyond what its attempts reported."""
    activity_id: str = ""
    attempts: Attempts = ONE_ATTEMPT
    program: ProgramCall | None = None
    """Of an agent that is a program: one execution, which made calls of its own."""
    stderr: Text = ""
    """The program's standard error, also where it failed; itself, or the reference to it."""

    @property
    def cost_usd(self) -> Decimal | None:
        """Everything that it is known to have cost; None while it is in flight."""
        if self.result is not None:
            reported = self.result.cost_usd + self.result.failed_attempts_usd
            return reported + self.read_back_usd
        return self.failed_usd + self.read_back_usd if self.failure is not None else None

    @property
    def key(self) -> tuple[str, str]:
        """Its key in the ledgers: the agent, and the idempotency key; a program's is its scope."""
        return self.request.account.agent, self.request.idempotency_key


@dataclass(frozen=True)
class RunRecord:
    """What the histories of a run's executions contain."""

    id: str
    request: RunRequest | None
    """None if the start input was not a valid request."""
    accounts: tuple[AccountRef, ...]
    capabilities: Capabilities
    calls: tuple[RecordedCall, ...]
    started_at: datetime
    ended_at: datetime | None
    is_partial: bool = False
    """Temporal no longer has the run's first executions, and `calls` lacks theirs."""
    catalog: ModelCatalog | None = None
    """The models and prices that the run was given; None where its history does not have them."""
    tools: RecordedTools = NO_TOOLS

    def of_task(self, task: str) -> tuple[RecordedCall, ...]:
        return tuple(call for call in self.calls if call.request.task == task)


@dataclass
class _Activity:
    name: str
    input: Payloads
    scheduled_at: datetime
    ended_at: datetime | None = None
    result: Payloads | None = None
    failure: Failure | None = None
    how: str = ""
    id: str = ""
    attempts: Attempts = ONE_ATTEMPT


async def read_record(client: Client, id: str) -> RunRecord:
    """Reads the histories of all executions of the run: it may have continued as new.

    Raises `RunNotFound`, `ServiceUnavailable`, or `UpdateRefused`.
    """
    with translated(id):
        executions = await read_executions(client, id)
    return await record_of(client, id, executions)


async def record_of(client: Client, id: str, executions: list[list[HistoryEvent]]) -> RunRecord:
    """What these executions contain. Raises `UpdateRefused` where an event cannot be read."""
    try:
        with translated(id):
            return await _HistoryReader(client).record(id, executions)
    except ValidationError as error:
        raise UpdateRefused(
            f"run {id}: its history is of another version, so it cannot be read"
            f" ({error.errors()[0]['loc']}: {error.errors()[0]['msg']})"
        ) from error


class _HistoryReader:
    def __init__(self, client: Client) -> None:
        self._converter = client.data_converter

    async def record(self, id: str, executions: list[list[HistoryEvent]]) -> RunRecord:
        known = await beginning_of(self._converter, executions[0])
        by_execution = [_activities(events) for events in executions]
        activities = [each for some in by_execution for each in some]
        opened = [
            await self._decode(each.result, OpenedAccounts)
            for each in activities
            if each.name == "open_accounts" and each.result is not None
        ]
        calls = [
            [await self._call(each) for each in some if each.name in CALLS] for some in by_execution
        ]
        ends = [_time(events[-1].event_time) for events in executions]
        ended = executions[-1][-1].WhichOneof("attributes") or ""
        made = _with_known_spend(_charged_once(_taken_up(calls, ends)))
        return RunRecord(
            id=id,
            request=known.request,
            accounts=(*known.accounts, *(ref for one in opened for ref in one.accounts)),
            capabilities=opened[-1].capabilities if opened else known.capabilities,
            calls=_with_read_back(made, await self._ledger_amounts(activities)),
            started_at=known.started_at,
            ended_at=ends[-1] if _ends_run(ended) else None,
            is_partial=known.is_partial,
            catalog=await self._catalog(activities),
            tools=await recorded_tools(
                activities, (event for events in executions for event in events), self._decode
            ),
        )

    async def _ledger_amounts(self, activities: list[_Activity]) -> dict[tuple[str, str], Decimal]:
        """Amounts by key in the ledgers that the run has read back."""
        in_ledgers: dict[tuple[str, str], Decimal] = {}
        for each in activities:
            if each.name not in ("read_ledgers", "close_accounts") or each.result is None:
                continue
            for ledger in (await self._decode(each.result, ClosedAccounts)).ledgers:
                in_ledgers |= {(ledger.agent, key): usd for key, usd in ledger.by_key().items()}
        return in_ledgers

    async def _catalog(self, activities: list[_Activity]) -> ModelCatalog | None:
        """The list that the run began with, and the models that it asked for later."""
        found: ModelCatalog | None = None
        for each in activities:
            if each.name != "read_models" or each.result is None:
                continue
            try:
                read = await self._decode(each.result, ModelCatalog)
            except ValidationError:
                continue  # of another version
            models = read.models if found is None else (*found.models, *read.models)
            found = (found or read).model_copy(update={"models": models})
        return found

    async def _call(self, done: _Activity) -> RecordedCall:
        spend, why = AttemptSpend(), None
        if done.failure is not None or (done.how and done.result is None):
            why, details = _why(done)
            if details is not None:
                spend = await self._spend(details)
        result = None if done.result is None else await self._decode(done.result, CallResult)
        program: dict[str, Any] = {}
        if done.name == PROGRAM:
            order = await self._decode(done.input, ProgramCall)
            told = result or spend
            program = {"program": order, "stderr": told.stderr_ref or told.stderr}
            request = order.call
        else:
            request = await self._decode(done.input, CallRequest)
        return RecordedCall(
            request=request,
            result=result,
            failure=why,
            failed_usd=spend.spent_usd,
            **program,
            scheduled_at=done.scheduled_at,
            ended_at=done.ended_at,
            activity_id=done.id,
            attempts=done.attempts,
        )

    async def _spend(self, details: Payloads) -> AttemptSpend:
        try:
            return await self._decode(details, AttemptSpend)
        except (ValidationError, IndexError):
            return AttemptSpend()

    async def _decode(self, payloads: Payloads | None, kind: type[T]) -> T:
        assert payloads is not None
        value: T = (await self._converter.decode(payloads.payloads[:1], [kind]))[0]
        return value


def _taken_up(executions: list[list[RecordedCall]], ends: list[datetime]) -> list[RecordedCall]:
    """The calls of all executions. One that was in flight when an execution ended is made again by
    the next one, under its key: that is one call, which began when it was first sent. So is one
    whose result came in the very moment in which the run continued as new, and was not looked at:
    after a result that it has taken, a run does not use a key again. A program's is its scope."""
    taken_up: dict[tuple[str, str], RecordedCall] = {}
    calls: list[RecordedCall] = []
    for number, execution in enumerate(executions):
        left, taken_up = taken_up, {}
        is_last = number == len(executions) - 1
        later = set() if is_last else {call.key for call in executions[number + 1]}
        for call in execution:
            if before := left.pop(call.key, None):
                call = replace(call, scheduled_at=before.scheduled_at)
            has_untaken = call.result is not None and call.program is None and call.key in later
            if not is_last and (call.ended_at is None or has_untaken):
                taken_up[call.key] = call
            else:
                calls.append(call)
        calls += [
            replace(call, failure=CANCELLED, ended_at=ends[number - 1]) for call in left.values()
        ]
    return calls


def _charged_once(calls: list[RecordedCall]) -> list[RecordedCall]:
    """An answer of the gateway's store was charged when it was made: where an activity before has
    failed and reported that charge, it is the answer's, as the run counts it."""
    found: list[RecordedCall] = []
    failed: dict[tuple[str, str], list[int]] = {}
    for number, call in enumerate(calls):
        found.append(call)
        if call.program is not None:
            continue
        if call.failed_usd:
            failed.setdefault(call.key, []).append(number)
        elif call.result is not None and call.result.replayed:
            left = call.result.cost_usd
            for earlier in failed.pop(call.key, ()):
                before = found[earlier]
                taken = min(left, before.failed_usd)
                found[earlier] = replace(before, failed_usd=before.failed_usd - taken)
                left -= taken
    return found


def _with_known_spend(calls: list[RecordedCall]) -> list[RecordedCall]:
    """A program's execution that failed has cost what the run knew when it started the next one of
    its scope: the execution itself may have ended without a word."""
    found = list(calls)
    latest: dict[tuple[str, str], int] = {}
    for number, call in enumerate(calls):
        if call.program is None:
            continue
        before = latest.get(call.key)
        if before is not None and (earlier := found[before]).failure is not None:
            assert earlier.program is not None
            cost = call.program.known_spent_usd - earlier.program.known_spent_usd
            found[before] = replace(earlier, failed_usd=max(earlier.failed_usd, cost))
        latest[call.key] = number
    return found


def _with_read_back(
    calls: list[RecordedCall], in_ledgers: dict[tuple[str, str], Decimal]
) -> tuple[RecordedCall, ...]:
    """Calls, with what the ledger has beyond the reported cost. A repeated call has several entries
    in the history and one line in the ledger, under the same key: the last entry gets it."""
    reported: dict[tuple[str, str], Decimal] = {}
    last: dict[tuple[str, str], int] = {}
    for number, call in enumerate(calls):
        reported[call.key] = reported.get(call.key, Decimal(0)) + (call.cost_usd or Decimal(0))
        last[call.key] = number
    for key, number in last.items():
        missing = in_ledgers.get(key, Decimal(0)) - reported[key]
        if missing > 0 and calls[number].ended_at is not None:
            calls[number] = replace(calls[number], read_back_usd=missing)
    return tuple(calls)


def _activities(events: list[HistoryEvent]) -> list[_Activity]:
    found: dict[int, _Activity] = {}
    for event in events:
        if event.HasField("activity_task_scheduled_event_attributes"):
            scheduled = event.activity_task_scheduled_event_attributes
            when = _time(event.event_time)
            found[event.event_id] = _Activity(
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
                activity.ended_at, activity.how = _time(event.event_time), how
                activity.result = end.result if how == "completed" else None
                activity.failure = end.failure if how in ("failed", "timed_out") else None
    return list(found.values())


def _local_activity(event: HistoryEvent) -> _Activity | None:
    """A local activity leaves one marker, with its result, when it has ended. None for other
    markers."""
    marker = event.marker_recorded_event_attributes
    if marker.marker_name != LOCAL_ACTIVITY or not marker.details["data"].payloads:
        return None
    name = json.loads(marker.details["data"].payloads[0].data).get("activity_type", "")
    when = _time(event.event_time)
    ended = _Activity(name, Payloads(), when, when)
    if marker.HasField("failure"):
        ended.how, ended.failure = "failed", marker.failure
    else:
        ended.how, ended.result = "completed", marker.details["result"]
    return ended


def _why(done: _Activity) -> tuple[str, Payloads | None]:
    """Why a call failed, as text, and the details of the error if it has any."""
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


def _ends_run(attributes: str) -> bool:
    ways = (*ENDINGS, "terminated", "continued_as_new")
    return attributes in {f"workflow_execution_{way}_event_attributes" for way in ways}


def _time(stamp: Timestamp) -> datetime:
    return stamp.ToDatetime(UTC)
