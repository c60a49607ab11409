"""Makes one call of a tool: gets it approved, runs its activity, waits for a person if needed."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from decimal import Decimal
from typing import Protocol

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

from durable_agent_team.contracts.activity_interfaces import ToolActivities
from durable_agent_team.contracts.conversation import ToolMessage
from durable_agent_team.contracts.conversation_view import ToolCallStatus
from durable_agent_team.contracts.effects import EffectDecision
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.run import Failure
from durable_agent_team.contracts.tool_call import ToolResult
from durable_agent_team.contracts.tool_kinds import Effects, ServerTools
from durable_agent_team.rules.tools.taint import is_from_outside
from workflows.activity_executor import ActivityExecutor
from workflows.command_turns import NotIssued
from workflows.people.approval import Approval
from workflows.people.parking import Parking
from workflows.policies import PATIENCE, RESERVED_ELSEWHERE, tool_options
from workflows.state.progress import Progress
from workflows.state.tool_work import ToolWork
from workflows.task_exceptions import was_cancelled
from workflows.tools import call_texts, outcomes
from workflows.tools.call_approval import CallApproval, check_approved
from workflows.tools.call_charges import CallCharges
from workflows.tools.one_call import OneCall
from workflows.tools.tool_orders import connect_seconds, order_of

BETWEEN_ROUNDS = timedelta(seconds=1)


class Places(Protocol):
    """The gate: one of the run's `max_parallel` places."""

    def tool_slot(self) -> AbstractAsyncContextManager[None]: ...


class CallMaker:
    """Makes calls for `ToolCalls`. Everything that must survive a continue-as-new is in the call's
    state."""

    def __init__(
        self,
        progress: Progress,
        activities: ActivityExecutor,
        parking: Parking,
        approval: Approval,
        places: Places,
        show: Callable[[ToolWork], None],
    ) -> None:
        self._progress = progress
        self._activities = activities
        self._parking = parking
        self._approval = CallApproval(approval, self._become)
        self._charges = CallCharges(progress, activities)
        self._places = places
        self._show = show

    async def make(self, one: OneCall) -> None:
        """Returns when the call has its result. Raises TaskFailed, TaskSkipped and
        CancelledError."""
        state = one.state
        if state.status is ToolCallStatus.RUNNING:  # in an earlier execution of the run
            state.rounds -= 1
        try:
            if not await self._approval.is_approved(one):
                return
            while not state.has_ended:
                failure = state.parked_after or state.unknown
                if failure is None and state.decision is None:
                    failure = await self._attempt(one)
                if not state.has_ended and (failure is not None or state.decision is not None):
                    await self._wait_for_person(one, failure)
        except BaseException:
            if not state.has_ended:
                unknown = state.unknown is not None
                state.status = ToolCallStatus.UNKNOWN if unknown else ToolCallStatus.CANCELLED
            raise
        finally:
            self._show(one.work)

    def _become(self, one: OneCall, status: ToolCallStatus) -> None:
        one.state.status = status
        self._show(one.work)

    async def _attempt(self, one: OneCall) -> Failure | None:
        """Runs one activity. Returns why the call must wait for a person, or None if it has ended
        or is to be made again at once."""
        check_approved(one)
        self._become(one, ToolCallStatus.READY)
        async with self._places.tool_slot():
            self._begin(one)
            try:
                result = await self._execute(one)
            except NotIssued:
                self._charges.end(one, Decimal(0))
                raise
            except (FailureError, asyncio.CancelledError) as error:
                end = outcomes.ended(error, one.facts.effects)
                if is_cancelled_exception(error) or was_cancelled():
                    self._interrupted(one, end)
                    raise asyncio.CancelledError from None
            else:
                self._succeeded(one, result)
                return None
            finally:
                self._progress.tools_in_flight.pop(one.key, None)
        return await self._failed(one, end)

    def _begin(self, one: OneCall) -> None:
        state = one.state
        state.started_at = state.started_at or workflow.now()
        state.rounds += 1
        self._progress.tools_in_flight[one.key] = one.facts.effects
        self._charges.reserve(one)
        self._become(one, ToolCallStatus.RUNNING)

    async def _execute(self, one: OneCall) -> ToolResult:
        progress, tool, effects = self._progress, one.tool, one.facts.effects
        order = order_of(progress, one)
        patience = PATIENCE[min(one.state.rounds, len(PATIENCE)) - 1]
        seconds = connect_seconds(progress, tool)
        options = tool_options(tool, effects, seconds, progress.team.max_parallel, patience)
        summary = f"{one.work.agent} · {one.work.task} · {one.facts.source} {one.number}"
        is_quick = effects is Effects.NONE and tool.price_usd is None
        if is_quick and one.facts.source not in progress.slow_tools:
            return await self._activities.execute_quickly(
                ToolActivities.call_tool,
                order,
                options,
                summary=summary,
                too_slow=lambda: progress.slow_tools.add(one.facts.source),
            )
        return await self._activities.execute(
            ToolActivities.call_tool, order, options, summary=summary
        )

    def _succeeded(self, one: OneCall, result: ToolResult) -> None:
        """It has a result, perhaps one that reports an error of the tool."""
        state, work = one.state, one.work
        self._charges.end(one, result.charged_usd)
        message = ToolMessage(
            id=one.asked.id,
            name=one.asked.name,
            text=result.text,
            **({} if result.text_ref is None else {"text_ref": result.text_ref}),
            **({"failed": True} if result.is_error else {}),
        )
        status = ToolCallStatus.FAILED if result.is_error else ToolCallStatus.DONE
        state.end(status, message)
        state.result_bytes, state.seconds = result.bytes, result.seconds
        state.charged_usd = result.charged_usd
        if not result.is_error:
            work.succeeded[one.facts.name] = work.succeeded.get(one.facts.name, 0) + 1
        if result.session is not None and isinstance(one.tool, ServerTools):
            work.sessions[one.tool.server] = result.session
        self._taint(one)

    def _taint(self, one: OneCall) -> None:
        if is_from_outside(one.tool):
            one.work.tainted = True
            self._progress.tainted_tasks.add(one.work.task)

    async def _failed(self, one: OneCall, end: outcomes.Ended) -> Failure | None:
        """What follows an activity without a result."""
        state = one.state
        outcome = outcomes.decide(end, one.facts.source, one.facts.effects, state.rounds)
        if end.sent and isinstance(outcome, outcomes.ParkCall):
            state.unknown = outcome.failure
        if end.known is None or end.sent:
            self._charges.lose(one)
        else:
            self._charges.end(one, end.known.charged_usd)
        match outcome:
            case outcomes.Again():
                self._become(one, ToolCallStatus.READY)
                await workflow.sleep(BETWEEN_ROUNDS * state.rounds, summary=f"{one.subject} again")
            case outcomes.WorkerStopped():
                state.rounds -= 1
            case outcomes.TellModel(text):
                one.end(ToolCallStatus.FAILED, call_texts.failed(text), text)
            case outcomes.ParkCall(failure):
                return failure
            case outcomes.NoMoney(failure):
                return self._charges.exhausted(one, failure)
            case outcomes.MoneyReserved():
                state.rounds -= 1
                await workflow.sleep(
                    RESERVED_ELSEWHERE, summary=f"{one.work.agent} · money is reserved"
                )
        return None

    def _interrupted(self, one: OneCall, end: outcomes.Ended) -> None:
        """The agent's task ends while the call is in flight. One that may have had its effect is
        not made again if the task is."""
        if end.sent:
            message = f"{one.facts.source} may have run: its task ended while it was called"
            one.state.unknown = Failure(type=ErrorType.EFFECT_UNKNOWN, message=message)
        self._charges.lose(one)

    async def _wait_for_person(self, one: OneCall, failure: Failure | None) -> None:
        """Parks the call, and carries out what a person decides. A call that never ran is made
        again when it is woken; one that may have run needs a decision. `failure` is None if the
        person decided in an earlier execution of the run."""
        state = one.state
        if failure is None or state.decision is not None:
            self._progress.unpark(one.subject)
        else:
            self._become(one, ToolCallStatus.PARKED)
            caller, account = one.user.caller, self._charges.account(one)
            await self._parking.park(one.subject, caller, account, failure, state)
        state.parked_after = None
        if state.decision in (EffectDecision.SKIP, EffectDecision.RESULT):
            await self._carry_out(one, state.decision)
        elif state.decision is EffectDecision.RETRY or state.unknown is None:
            state.again = state.again or state.unknown is not None
            state.decision = state.unknown = None
            state.rounds = 0

    async def _carry_out(self, one: OneCall, decision: EffectDecision) -> None:
        """Ends the call as the person said, without making it again: with their result, or with
        none."""
        state, work = one.state, one.work
        await self._charges.settle_or_release(one, settle=decision is EffectDecision.RESULT)
        if decision is EffectDecision.RESULT:
            one.end(ToolCallStatus.ANSWERED, state.answered or "")
            work.succeeded[one.facts.name] = work.succeeded.get(one.facts.name, 0) + 1
            self._taint(one)
            return
        text = call_texts.SKIPPED if state.unknown is None else call_texts.SKIPPED_UNKNOWN
        one.end(ToolCallStatus.SKIPPED, text)
