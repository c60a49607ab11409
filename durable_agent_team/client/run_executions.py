"""The executions of a run, which continues as new when its history gets long: one after another."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from pydantic import BaseModel
from temporalio.api.common.v1 import Payloads
from temporalio.api.enums.v1 import ContinueAsNewInitiator
from temporalio.api.history.v1 import HistoryEvent, WorkflowExecutionStartedEventAttributes
from temporalio.client import Client, WorkflowExecution
from temporalio.converter import DataConverter
from temporalio.service import RPCError, RPCStatusCode

from durable_agent_team.blobs.store import BlobError
from durable_agent_team.client.exceptions import RunNotFound
from durable_agent_team.contracts import names
from durable_agent_team.contracts.accounts import Capabilities
from durable_agent_team.contracts.call import AccountRef
from durable_agent_team.contracts.run import RunRequest
from durable_agent_team.contracts.run_snapshot import RunSnapshot


@dataclass(frozen=True)
class Beginning:
    """What is known before the first event that Temporal still has."""

    started_at: datetime
    request: RunRequest | None
    """None if the start input was not a valid request."""
    accounts: tuple[AccountRef, ...] = ()
    capabilities: Capabilities = field(default_factory=Capabilities)
    is_partial: bool = False
    """Earlier executions are gone; this is what they have passed on."""


async def read_executions(client: Client, id: str) -> list[list[HistoryEvent]]:
    """The events of each execution, the first one first: as far back as Temporal has them.

    Raises RunNotFound, and RPCError.
    """
    found: list[list[HistoryEvent]] = []
    run_id: str | None = None
    while True:
        handle = client.get_workflow_handle(id, run_id=run_id)
        try:
            events = [event async for event in handle.fetch_history_events()]
        except RPCError as error:
            if found and error.status is RPCStatusCode.NOT_FOUND:
                return found  # past its retention
            raise
        start = _start_of(events)
        if start.workflow_type.name != names.WORKFLOW:
            raise RunNotFound(id, f"this is a workflow of type `{start.workflow_type.name}`")
        found.insert(0, events)
        if not _continues(start):
            return found
        run_id = start.continued_execution_run_id


async def beginning_of(converter: DataConverter, events: list[HistoryEvent]) -> Beginning:
    """From the first of the executions that were read. Raises ValueError for a state that is not
    understood."""
    start = _start_of(events)
    if not _continues(start):
        request = await _request(converter, start.input)
        return Beginning(events[0].event_time.ToDatetime(UTC), request)
    [snapshot] = await converter.decode(start.input.payloads[:1], [RunSnapshot])
    passed = _Passed.model_validate_json(snapshot.json_state())
    return Beginning(
        started_at=passed.started_at,
        request=passed.request,
        accounts=tuple(passed.account_refs.values()),
        capabilities=passed.capabilities,
        is_partial=True,
    )


async def started_at(execution: WorkflowExecution) -> datetime:
    """When the run of this execution began: one that has continued as new notes it in its memo."""
    noted = await execution.memo_value(names.STARTED_MEMO, None)
    try:
        return datetime.fromisoformat(noted) if noted else execution.start_time
    except (TypeError, ValueError):
        return execution.start_time


class _Passed(BaseModel):
    """The part that readers need of the state that one execution passes on to the next."""

    started_at: datetime
    request: RunRequest
    account_refs: dict[str, AccountRef]
    capabilities: Capabilities


async def _request(converter: DataConverter, input: Payloads) -> RunRequest | None:
    try:
        request: RunRequest = (await converter.decode(input.payloads[:1], [RunRequest]))[0]
        return request
    except BlobError:
        raise
    except Exception:
        return None  # the run refused its input and opened nothing


def _start_of(events: list[HistoryEvent]) -> WorkflowExecutionStartedEventAttributes:
    return events[0].workflow_execution_started_event_attributes


def _continues(start: WorkflowExecutionStartedEventAttributes) -> bool:
    """Whether it is the next execution of the same run, by the workflow's own command."""
    by_workflow = ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_WORKFLOW
    return bool(start.continued_execution_run_id) and start.initiator == by_workflow
