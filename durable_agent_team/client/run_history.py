"""Reads a run's history: its request, its accounts and every paid call. Needs no worker."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from pydantic import ValidationError
from temporalio.api.common.v1 import Payloads
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client

from durable_agent_team.client.exceptions import UpdateRefused, translated
from durable_agent_team.client.recorded_activities import (
    ENDINGS,
    RecordedActivity,
    activities_in,
    failure_of,
    time_of,
)
from durable_agent_team.client.recorded_calls import (
    CallKey,
    RecordedCall,
    across_executions,
    charged_once,
    with_known_spend,
    with_read_back,
)
from durable_agent_team.client.recorded_tools import NO_TOOLS, RecordedTools, recorded_tools
from durable_agent_team.client.run_executions import beginning_of, read_executions
from durable_agent_team.contracts.accounts import Capabilities, ClosedAccounts, OpenedAccounts
from durable_agent_team.contracts.call import AccountRef, AttemptSpend, CallRequest, CallResult
from durable_agent_team.contracts.model_catalog import ModelCatalog
from durable_agent_team.contracts.program import ProgramCall
from durable_agent_team.contracts.run import RunRequest

T = TypeVar("T")
PROGRAM = "run_program"
CALLS = ("call_agent", PROGRAM)
"""The activities that cost money."""


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


async def read_record(client: Client, id: str) -> RunRecord:
    """Reads the histories of all executions of the run: it may have continued as new.

    Raises `RunNotFound`, `ServiceUnavailable`, or `UpdateRefused`.
    """
    with translated(id):
        executions = await read_executions(client, id)
    return await record_of(client, id, executions)


async def record_of(client: Client, id: str, executions: list[list[HistoryEvent]]) -> RunRecord:
    """What these executions contain. Raises `UpdateRefused` if an event cannot be read."""
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
        by_execution = [activities_in(events) for events in executions]
        activities = [each for some in by_execution for each in some]
        opened = [
            await self._decode(each.result, OpenedAccounts)
            for each in activities
            if each.name == "open_accounts" and each.result is not None
        ]
        calls = [
            [await self._call(each) for each in some if each.name in CALLS] for some in by_execution
        ]
        ends = [time_of(events[-1].event_time) for events in executions]
        ended = executions[-1][-1].WhichOneof("attributes") or ""
        made = with_known_spend(charged_once(across_executions(calls, ends)))
        return RunRecord(
            id=id,
            request=known.request,
            accounts=(*known.accounts, *(ref for one in opened for ref in one.accounts)),
            capabilities=opened[-1].capabilities if opened else known.capabilities,
            calls=with_read_back(made, await self._ledger_amounts(activities)),
            started_at=known.started_at,
            ended_at=ends[-1] if _ends_run(ended) else None,
            is_partial=known.is_partial,
            catalog=await self._catalog(activities),
            tools=await recorded_tools(
                activities, (event for events in executions for event in events), self._decode
            ),
        )

    async def _ledger_amounts(self, activities: list[RecordedActivity]) -> dict[CallKey, Decimal]:
        """Amounts by key in the ledgers that the run has read back."""
        in_ledgers: dict[CallKey, Decimal] = {}
        for each in activities:
            if each.name not in ("read_ledgers", "close_accounts") or each.result is None:
                continue
            for ledger in (await self._decode(each.result, ClosedAccounts)).ledgers:
                in_ledgers |= {(ledger.agent, key): usd for key, usd in ledger.by_key().items()}
        return in_ledgers

    async def _catalog(self, activities: list[RecordedActivity]) -> ModelCatalog | None:
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

    async def _call(self, done: RecordedActivity) -> RecordedCall:
        spend, why = AttemptSpend(), None
        if done.failure is not None or (done.how and done.result is None):
            why, details = failure_of(done)
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


def _ends_run(attributes: str) -> bool:
    ways = (*ENDINGS, "terminated", "continued_as_new")
    return attributes in {f"workflow_execution_{way}_event_attributes" for way in ways}
