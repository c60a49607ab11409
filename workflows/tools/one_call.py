"""Makes one call of a tool: it is approved, made, and waits for a person where it has to."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Protocol

from temporalio import workflow
from temporalio.exceptions import ActivityError, FailureError, is_cancelled_exception

from durable_agent_team.contracts.activity_interfaces import ToolActivities
from durable_agent_team.contracts.approvals import ApprovalKind
from durable_agent_team.contracts.arguments_check import ArgumentsCheck
from durable_agent_team.contracts.base import round_up
from durable_agent_team.contracts.conversation import ToolCall, ToolMessage
from durable_agent_team.contracts.conversation_view import ToolCallStatus
from durable_agent_team.contracts.effects import EffectDecision
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.run import Failure
from durable_agent_team.contracts.team import Agent, Caller, OnExhausted
from durable_agent_team.contracts.tool_box import ToolBox, ToolFacts
from durable_agent_team.contracts.tool_call import ChargeEnd, ToolResult
from durable_agent_team.contracts.tool_kinds import Effects, ServerTools, Tool
from durable_agent_team.rules.tools.approval_rules import (
    amount_of,
    approved_sha256,
    needs_approval,
    plain_arguments,
)
from durable_agent_team.rules.tools.taint import is_from_outside
from workflows.activity_executor import ActivityExecutor
from workflows.command_turns import NotIssued
from workflows.people.approval import Approval, Ask
from workflows.people.parking import Parking
from workflows.policies import PATIENCE, charge_options, tool_options
from workflows.state.agent_account import AgentAccount
from workflows.state.progress import Progress
from workflows.state.tool_work import ToolCallState, ToolWork, key_of, subject_of
from workflows.task_exceptions import TaskFailed, TaskSkipped, was_cancelled
from workflows.tools import call_texts, outcomes
from workflows.tools.tool_orders import connect_seconds, order_of, tool_of

RESERVED_ELSEWHERE = timedelta(seconds=5)
"""Between two looks whether the account's money is still reserved by other calls."""
BETWEEN_ROUNDS = timedelta(seconds=1)


class ToolUser(Protocol):
    """Whose turn it is: an assignment."""

    @property
    def agent(self) -> str: ...
    @property
    def subject(self) -> str: ...
    @property
    def caller(self) -> Caller: ...


class Places(Protocol):
    """The gate: one of the run's `max_parallel` places."""

    def tool_slot(self) -> AbstractAsyncContextManager[None]: ...


@dataclass(frozen=True)
class OneCall:
    """A call that is made, and what it is part of."""

    user: ToolUser
    work: ToolWork
    state: ToolCallState
    number: str
    asked: ToolCall
    facts: ToolFacts
    box: ToolBox

    @property
    def subject(self) -> str:
        return subject_of(self.work.task, self.number)

    @property
    def key(self) -> str:
        return key_of(self.work.conversation, self.number)

    @property
    def arguments(self) -> str:
        """Those of the person who approved it, or else the model's."""
        return self.asked.arguments if self.state.edited is None else self.state.edited

    @property
    def tool(self) -> Tool:
        assert isinstance(self.user.caller, Agent)
        return tool_of(self.user.caller, self.facts)

    def end(self, status: ToolCallStatus, text: str, reason: str = "") -> None:
        failed = {"failed": True} if status is ToolCallStatus.FAILED else {}
        message = ToolMessage(id=self.asked.id, name=self.asked.name, text=text, **failed)
        self.state.end(status, message, reason)


class CallMaker:
    """Makes calls, for `ToolCalls`. Everything that must outlast the run's execution is in each
    call's state."""

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
        self._approval = approval
        self._places = places
        self._show = show

    async def make(self, one: OneCall) -> None:
        """Returns when the call has its result. Raises TaskFailed, TaskSkipped and
        CancelledError."""
        state = one.state
        if state.status is ToolCallStatus.RUNNING:  # in an earlier execution of the run
            state.rounds -= 1
        try:
            if not await self._is_approved(one):
                return
            while not state.has_ended:
                failure = state.parked_after or state.unknown
                if failure is None and state.decision is None:
                    failure = await self._made(one)
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

    # Approval

    async def _is_approved(self, one: OneCall) -> bool:
        """Waits for a person where that is needed. With False, the call has ended."""
        state = one.state
        sha256 = approved_sha256(one.facts, one.arguments)
        if state.approved_sha256 == sha256 or not self._needs_approval(one):
            return True
        self._become(one, ToolCallStatus.APPROVAL)
        verdict = await self._approval.decide(self._ask(one, sha256))
        state.note, state.decided_by, state.decided_at = verdict.note, verdict.by, verdict.at
        if not verdict.approved:
            state.approval = "timed_out" if verdict.timed_out else "rejected"
            text = call_texts.rejected(verdict.note)
            one.end(ToolCallStatus.REJECTED, call_texts.NOT_IN_TIME if verdict.timed_out else text)
            return False
        state.approval = "timed_out" if verdict.timed_out else "approved"
        if verdict.arguments is not None:
            state.edited, state.approval = plain_arguments(verdict.arguments), "edited"
        state.approved_sha256 = approved_sha256(one.facts, one.arguments)
        self._become(one, ToolCallStatus.READY)
        return True

    def _needs_approval(self, one: OneCall) -> bool:
        return needs_approval(one.tool, one.facts.effects, one.arguments, tainted=one.state.tainted)

    def _ask(self, one: OneCall, sha256: str) -> Ask:
        tool, tainted = one.tool, one.state.tainted
        amount = amount_of(tool, one.arguments)
        why = ", after something from outside" if tainted else ""
        reason = f"{one.facts.source} waits for approval{why}: {one.arguments}"
        return Ask(
            subject=one.subject,
            kind=ApprovalKind.TOOL,
            what=one.facts.source,
            content=one.arguments,
            sha256=sha256,
            agent=one.work.agent,
            task=one.work.task,
            reason=f"{one.work.agent}: {reason}",
            timeout_seconds=tool.approval_timeout_seconds,
            on_timeout=tool.on_approval_timeout,
            amount_usd=None if amount is None else round_up(amount),
            tainted=tainted,
            check=ArgumentsCheck(
                definitions=one.box.definitions, name=one.facts.name, arguments="{}"
            ),
        )

    # The call itself

    async def _made(self, one: OneCall) -> Failure | None:
        """One activity. Returns why the call now waits for a person; None where it has ended, or is
        to be made again at once."""
        self._check_approved(one)
        account = self._account(one)
        self._become(one, ToolCallStatus.READY)
        async with self._places.tool_slot():
            self._begin(one, account)
            try:
                result = await self._executed(one)
            except NotIssued:
                self._end_charge(one, account, Decimal(0))
                raise
            except (FailureError, asyncio.CancelledError) as error:
                end = outcomes.ended(error, one.facts.effects)
                if is_cancelled_exception(error) or was_cancelled():
                    self._interrupted(one, account, end)
                    raise asyncio.CancelledError from None
            else:
                self._succeeded(one, account, result)
                return None
            finally:
                self._progress.tools_in_flight.pop(one.key, None)
        return await self._failed(one, account, end)

    def _check_approved(self, one: OneCall) -> None:
        """An approval holds for one tool with these arguments, and no other call."""
        approved = one.state.approved_sha256
        assert approved in (None, approved_sha256(one.facts, one.arguments)), (
            "not what was approved"
        )

    def _begin(self, one: OneCall, account: AgentAccount) -> None:
        state, price = one.state, one.tool.price_usd
        state.started_at = state.started_at or workflow.now()
        state.rounds += 1
        self._progress.tools_in_flight[one.key] = one.facts.effects
        if price is not None:
            account.begin_tool(one.key, price, one.work.task)
        self._become(one, ToolCallStatus.RUNNING)

    async def _executed(self, one: OneCall) -> ToolResult:
        progress, tool, effects = self._progress, one.tool, one.facts.effects
        order = order_of(
            progress,
            one.work,
            one.number,
            one.facts,
            tool,
            one.arguments,
            edited=one.state.edited is not None,
        )
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

    def _succeeded(self, one: OneCall, account: AgentAccount, result: ToolResult) -> None:
        """It has a result, perhaps one that reports an error of the tool."""
        state, work = one.state, one.work
        self._end_charge(one, account, result.charged_usd)
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

    async def _failed(
        self, one: OneCall, account: AgentAccount, end: outcomes.Ended
    ) -> Failure | None:
        """What follows an activity without a result."""
        state = one.state
        outcome = outcomes.decide(end, one.facts.source, one.facts.effects, state.rounds)
        if end.sent and isinstance(outcome, outcomes.ParkCall):
            state.unknown = outcome.failure
        if end.known is None or end.sent:
            self._lose_charge(one, account)
        else:
            self._end_charge(one, account, end.known.charged_usd)
        match outcome:
            case outcomes.Again():
                self._become(one, ToolCallStatus.READY)
                await workflow.sleep(BETWEEN_ROUNDS * state.rounds, summary=f"{one.subject} again")
            case outcomes.TellModel(text):
                one.end(ToolCallStatus.FAILED, call_texts.failed(text), text)
            case outcomes.ParkCall(failure):
                return failure
            case outcomes.NoMoney(failure):
                return self._exhausted(one, account, failure)
            case outcomes.MoneyReserved():
                state.rounds -= 1
                await workflow.sleep(
                    RESERVED_ELSEWHERE, summary=f"{one.work.agent} · money is reserved"
                )
        return None

    def _interrupted(self, one: OneCall, account: AgentAccount, end: outcomes.Ended) -> None:
        """The agent's task ends while the call is in flight. One that may have had its effect is
        not made again if the task is."""
        if end.sent:
            message = f"{one.facts.source} may have run: its task ended while it was called"
            one.state.unknown = Failure(type=ErrorType.EFFECT_UNKNOWN, message=message)
        self._lose_charge(one, account)

    # Money

    def _account(self, one: OneCall) -> AgentAccount:
        return self._progress.accounts[one.work.agent]

    def _end_charge(self, one: OneCall, account: AgentAccount, charged: Decimal) -> None:
        if one.tool.price_usd is not None:
            account.settle_tool(one.key, charged)

    def _lose_charge(self, one: OneCall, account: AgentAccount) -> None:
        if one.tool.price_usd is not None:
            account.lose_tool(one.key, one.tool.price_usd)

    def _exhausted(self, one: OneCall, account: AgentAccount, failure: Failure) -> Failure:
        """Returns what the call parks with, unless the agent's `on_exhausted` ends its task."""
        account.exhaust()
        match one.user.caller.on_exhausted:
            case OnExhausted.SKIP:
                raise TaskSkipped(failure)
            case OnExhausted.FAIL:
                raise TaskFailed(failure)
        return failure

    # What a person decides

    async def _wait_for_person(self, one: OneCall, failure: Failure | None) -> None:
        """Parks the call, and carries out what a person decides. A call that never ran is made
        again when it is woken; one that may have run needs a decision. `failure` is None where
        they have decided in an earlier execution of the run."""
        state = one.state
        if failure is None or state.decision is not None:
            self._progress.unpark(one.subject)
        else:
            self._become(one, ToolCallStatus.PARKED)
            caller, account = one.user.caller, self._account(one)
            await self._parking.park(one.subject, caller, account, failure, state)
        state.parked_after = None
        if state.decision in (EffectDecision.SKIP, EffectDecision.RESULT):
            await self._decided(one, state.decision)
        elif state.decision is EffectDecision.RETRY or state.unknown is None:
            state.decision = state.unknown = None
            state.rounds = 0

    async def _decided(self, one: OneCall, decision: EffectDecision) -> None:
        """The call is not made again: a person has its result, or does without."""
        state, work = one.state, one.work
        await self._settled_by_person(one, settle=decision is EffectDecision.RESULT)
        if decision is EffectDecision.RESULT:
            one.end(ToolCallStatus.ANSWERED, state.answered or "")
            work.succeeded[one.facts.name] = work.succeeded.get(one.facts.name, 0) + 1
            self._taint(one)
            return
        text = call_texts.SKIPPED if state.unknown is None else call_texts.SKIPPED_UNKNOWN
        one.end(ToolCallStatus.SKIPPED, text)

    async def _settled_by_person(self, one: OneCall, *, settle: bool) -> None:
        """Ends the charge of a call that may have run. Where that fails, the account shows what
        became of it when it is closed."""
        price, account = one.tool.price_usd, self._account(one)
        if price is None or one.key not in account.lost:
            return
        end = ChargeEnd(
            account=self._progress.account_refs[one.work.agent],
            key=one.key,
            amount_usd=price,
            settle=settle,
        )
        try:
            ended = await self._activities.execute(
                ToolActivities.end_charge,
                end,
                charge_options(),
                summary=f"{one.subject} · {'settle' if settle else 'release'} its charge",
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise asyncio.CancelledError from None
            return
        account.settle_tool(one.key, ended.charged_usd)
        one.state.charged_usd = ended.charged_usd
