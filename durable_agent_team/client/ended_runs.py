"""Reads what another run can take over from a run that has ended: its plan, hand-offs and answer.

Read from the history, by the rules that the workflow itself uses; so it needs no worker, and works
for a run that was terminated. What cannot be read is not taken over.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, TypeVar

from pydantic import BaseModel
from temporalio.api.common.v1 import Payloads
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client

from durable_agent_team.client.exceptions import UpdateRefused, translated
from durable_agent_team.client.recorded_tools import acted
from durable_agent_team.client.run_executions import read_executions
from durable_agent_team.client.run_history import PROGRAM, record_of
from durable_agent_team.contracts.call import CallRequest, CallResult, Purpose
from durable_agent_team.contracts.changes import AdjustAgent, AdjustRun
from durable_agent_team.contracts.control import (
    AddTaskSignal,
    AdjustBudget,
    Adjustment,
    Approve,
    ApproveSignal,
    BudgetAdjusted,
    RetryTaskSignal,
    TaskCommand,
    Transferred,
)
from durable_agent_team.contracts.program import ProgramCall
from durable_agent_team.contracts.program_kinds import Run
from durable_agent_team.contracts.run import RunReport, RunRequest
from durable_agent_team.contracts.team import Task, Team
from durable_agent_team.rules.briefing import PlanForm
from durable_agent_team.rules.ended_run import Acted, EndedRun, Made
from durable_agent_team.rules.fingerprints import call_fingerprint, tools_of
from durable_agent_team.rules.run_fold import RunFold
from durable_agent_team.rules.tools.conversation_forms import in_whole_form

M = TypeVar("M", bound=BaseModel)
MOST_EVENTS = 1_000_000
"""More than an execution can have."""

Costs = Mapping[tuple[Purpose, str], Decimal]


async def read_ended_run(client: Client, id: str) -> EndedRun:
    """Raises `RunNotFound`, `ServiceUnavailable`, and `UpdateRefused` where not even its start
    input can be read."""
    with translated(id):
        executions = await read_executions(client, id)
    decoder = _Decoder(client)
    start = executions[0][0].workflow_execution_started_event_attributes
    request = await decoder.decode(start.input, RunRequest)
    if request is None:
        raise UpdateRefused(
            f"run {id}: its start input cannot be read, or Temporal has removed its first"
            " execution, so it cannot be continued"
        )
    costs, effects = await _recorded(client, id, executions)
    reader = _Reader(id, decoder, RunFold(id, request), costs, request.team)
    return replace(await reader.read(executions), acted=effects)


async def _recorded(
    client: Client, id: str, executions: list[list[HistoryEvent]]
) -> tuple[Costs, tuple[Acted, ...]]:
    """What all the calls of a task, or of a step of the orchestrator's, have cost; and what tools
    have done. Nothing where the history cannot be read as a whole."""
    costs: dict[tuple[Purpose, str], Decimal] = defaultdict(Decimal)
    try:
        record = await record_of(client, id, executions)
    except Exception:
        return costs, ()
    for call in record.calls:
        costs[call.request.purpose, call.request.task] += call.cost_usd or Decimal(0)
    return costs, acted(record.tools)


class _Decoder:
    def __init__(self, client: Client) -> None:
        self._converter = client.data_converter

    async def decode(self, payloads: Payloads, kind: type[M]) -> M | None:
        """None for whatever cannot be read: not there any more, or of another version."""
        try:
            found: list[Any] = await self._converter.decode(payloads.payloads[:1], [kind])
        except Exception:
            return None
        return found[0] if found and isinstance(found[0], kind) else None


class _Reader:
    """Hands the events of a history to the fold."""

    def __init__(self, id: str, decoder: _Decoder, fold: RunFold, costs: Costs, team: Team) -> None:
        self._id = id
        self._team = team
        self._heads: dict[str, CallRequest] = {}
        """For each conversation, one turn in the whole form."""
        self._decode = decoder.decode
        self._fold = fold
        self._costs = costs
        self._begun: dict[int, HistoryEvent] = {}
        """Activities and updates that have not ended, by the event that began them."""
        self._first = 0
        """Added to the number of an event: executions of one run number theirs from 1 again."""

    async def read(self, executions: list[list[HistoryEvent]]) -> EndedRun:
        for number, events in enumerate(executions):
            self._begun.clear()
            self._first = number * MOST_EVENTS
            for event in events:
                await self._event(event)
        return self._fold.ended_run()

    async def _event(self, event: HistoryEvent) -> None:
        match event.WhichOneof("attributes"):
            case (
                "activity_task_scheduled_event_attributes"
                | "workflow_execution_update_accepted_event_attributes"
            ):
                self._begun[event.event_id] = event
            case "activity_task_completed_event_attributes":
                done = event.activity_task_completed_event_attributes
                if (begun := self._begun.pop(done.scheduled_event_id, None)) is not None:
                    await self._call(begun, done.result)
            case "workflow_execution_update_completed_event_attributes":
                ended = event.workflow_execution_update_completed_event_attributes
                begun = self._begun.pop(ended.accepted_event_id, None)
                if begun is not None and ended.outcome.HasField("success"):
                    await self._update(begun, ended.outcome.success)
            case "workflow_execution_signaled_event_attributes":
                await self._signal(event)
            case "workflow_execution_completed_event_attributes":
                await self._report(event.workflow_execution_completed_event_attributes.result)
            case "workflow_execution_failed_event_attributes":
                failure = event.workflow_execution_failed_event_attributes.failure
                await self._report(failure.application_failure_info.details)

    async def _call(self, begun: HistoryEvent, result: Payloads) -> None:
        scheduled = begun.activity_task_scheduled_event_attributes
        run: Run | None = None
        call: CallRequest | None = None
        if scheduled.activity_type.name == "call_agent":
            call = await self._decode(scheduled.input, CallRequest)
        elif scheduled.activity_type.name == PROGRAM:
            order = await self._decode(scheduled.input, ProgramCall)
            call, run = (None, None) if order is None else (order.call, order.run)
        answer = await self._decode(result, CallResult)
        if call is None or answer is None:
            return
        call = self._with_head(call)
        if answer.reasons or answer.turn is not None:
            return
        made = Made(
            output=answer.text,
            cost_usd=self._costs[call.purpose, call.task],
            fingerprint=call_fingerprint(call, run, tools_of(self._team, call.account.agent)),
            model=call.model or None,
            origin=self._id,
        )
        form = PlanForm.WHOLE if call.checked_by_workflow else PlanForm.NARROW
        match call.purpose:
            case Purpose.PLAN:
                self._fold.planned(made, form)
            case Purpose.WORK:
                self._fold.done(call.task, made, self._place(begun))
            case Purpose.REVIEW:
                self._fold.reviewed(made, self._place(begun), form)
            case Purpose.FINAL:
                self._fold.answered(made)

    def _with_head(self, call: CallRequest) -> CallRequest:
        """A later turn of a conversation with what its first one was asked."""
        conversation = call.conversation
        if conversation is None:
            return call
        if conversation.base is None:
            self._heads[conversation.id] = call
            return call
        head = self._heads.get(conversation.id)
        return call if head is None else in_whole_form(call, head, (), ())

    async def _update(self, begun: HistoryEvent, result: Payloads) -> None:
        asked = begun.workflow_execution_update_accepted_event_attributes.accepted_request.input
        match asked.name:
            case "adjust_agent":
                self._change(await self._decode(asked.args, AdjustAgent))
            case "adjust_run":
                self._change(await self._decode(asked.args, AdjustRun))
            case "adjust_budget":
                self._limit(await self._decode(result, BudgetAdjusted))
            case "transfer":
                both = await self._decode(result, Transferred)
                if both is not None:
                    self._limit(both.from_agent)
                    self._limit(both.to_agent)
            case "add_task":
                task = await self._decode(asked.args, Task)
                if task is not None:
                    self._fold.added(task)
            case "approve":
                self._approval(await self._decode(asked.args, Approve))
            case "retry_task":
                retried = await self._decode(asked.args, TaskCommand)
                if retried is not None:
                    self._fold.retried(retried.task, self._place(begun))

    async def _signal(self, event: HistoryEvent) -> None:
        """A signal has no result: whether it was refused is judged by its contents."""
        signal = event.workflow_execution_signaled_event_attributes
        if signal.signal_name != "adjust":
            return
        found = await self._decode(signal.input, Adjustment)
        match found.root if found is not None else None:
            case AdjustAgent() | AdjustRun() | AdjustBudget() as change:
                self._fold.changed(change)
            case AddTaskSignal() as added:
                self._fold.added(added.task)
            case ApproveSignal() as answered:
                self._approval(answered)
            case RetryTaskSignal() as retried:
                self._fold.retried(retried.task, self._place(event))

    def _approval(self, answer: Approve | None) -> None:
        if answer is not None:
            decided = self._fold.approved if answer.approved else self._fold.rejected
            decided(answer.subject)

    def _place(self, event: HistoryEvent) -> int:
        return self._first + event.event_id

    async def _report(self, payloads: Payloads) -> None:
        report = await self._decode(payloads, RunReport)
        if report is not None:
            self._fold.reported(report)

    def _change(self, change: AdjustAgent | AdjustRun | None) -> None:
        if change is not None:
            self._fold.changed(change)

    def _limit(self, now: BudgetAdjusted | None) -> None:
        if now is not None and now.budget_usd > 0:
            self._fold.changed(AdjustBudget(agent=now.agent, budget_usd=now.budget_usd))
