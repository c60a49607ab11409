"""Makes a paid call: waits for money, a person or the end of an outage, until it is answered."""

from temporalio import workflow

from durable_agent_team.contracts.call import CallRequest, CallResult
from durable_agent_team.contracts.run import Failure
from durable_agent_team.rules.programs import run_of
from workflows.people.parking import Parking
from workflows.policies import RESERVED_ELSEWHERE
from workflows.state.agent_account import AgentAccount
from workflows.state.open_call import OpenCall
from workflows.state.progress import Progress
from workflows.task_exceptions import AgentChanged, CallInTrouble, TaskFailed, TaskSkipped
from workflows.tasks.assignments import with_current_settings
from workflows.tasks.call_attempts import CallAttempts
from workflows.tasks.call_decisions import (
    CallState,
    Decision,
    Fail,
    Fallback,
    Park,
    Retry,
    Skip,
    Smaller,
    WaitForSettlement,
    decide,
    may_fail_unsent,
)
from workflows.tasks.call_requests import Assignment, made_again, with_new_key
from workflows.tasks.gate import Gate
from workflows.tasks.open_requests import OpenRequests
from workflows.tasks.outages import Outages
from workflows.tasks.task_approvals import TaskApprovals
from workflows.tasks.troubled_calls import TroubledCalls
from workflows.tasks.turns import Turns

UNSENT_MAY_FAIL = "unsent-calls-may-fail"
"""Runs from before this patch park a call that was never sent, also with `on_failure: fail`."""


class PaidCalls:
    """Makes calls, and carries out what `call_decisions.decide` says about those that failed."""

    def __init__(
        self,
        progress: Progress,
        parking: Parking,
        gate: Gate,
        approvals: TaskApprovals,
        requests: OpenRequests,
        turns: Turns,
        attempts: CallAttempts,
        outages: Outages,
        troubled: TroubledCalls,
    ) -> None:
        self._progress = progress
        self._parking = parking
        self._gate = gate
        self._approvals = approvals
        self._requests = requests
        self._turns = turns
        self._attempts = attempts
        self._outages = outages
        self._troubled = troubled

    async def make(self, assignment: Assignment, call: OpenCall) -> tuple[CallRequest, CallResult]:
        """Returns the billed answer, and the request that was answered. Raises TaskFailed,
        TaskSkipped and CancelledError."""
        try:
            return await self._until_answered(assignment, call)
        finally:
            self._troubled.forget(assignment.subject)

    async def _until_answered(
        self, assignment: Assignment, call: OpenCall
    ) -> tuple[CallRequest, CallResult]:
        account = self._progress.accounts[assignment.agent]
        assignment = await self._taken_up(assignment, call, account)
        while True:
            assignment, request = self._current(assignment, call, account)
            if request.idempotency_key not in account.in_flight:
                most = self._requests.most(assignment, request, account)
                await self._approvals.expensive_call(assignment, request, most, call)
            failure: Failure | None = None
            try:
                result = await self._result(assignment, request, account, call)
                if result is not None:
                    return request, result
                failure = self._troubled.gave_up(assignment.subject)
            except AgentChanged:
                pass
            except CallInTrouble as trouble:
                if await self._troubled.wait_out(assignment, trouble):
                    continue
                failure = self._troubled.gave_up(assignment.subject)
            except TaskFailed as failed:
                failure = failed.failure
                self._outages.leave(assignment.subject)
                size = request.conversation.prompt_bytes if request.conversation else 0
                if self._turns.make_room(call, failure, size):
                    call.request = None
                    continue
                failure = self._turns.without_room(call, failure)
            decision = self._decision(assignment, call, request, failure)
            call.waits_left -= isinstance(decision, WaitForSettlement)
            call.request = await self._carry_out(
                decision, assignment, account, call, request, failure
            )

    async def _taken_up(
        self, assignment: Assignment, call: OpenCall, account: AgentAccount
    ) -> Assignment:
        """Where an earlier execution of the run has begun the call: waits as it did, with the
        request that it made."""
        subject = assignment.subject
        if call.parked_after is not None or subject in self._progress.troubled:
            self._gate.leave(subject)
        if call.parked_after is not None:
            caller = with_current_settings(self._progress, assignment).caller
            failed = call.parked_after
            await self._parking.park(subject, caller, account, failed)
            assignment = self._requests.take_up(assignment, call, account)
            call.request = made_again(call.request, failed) if call.request else None
        return self._requests.take_up(assignment, call, account)

    def _current(
        self, assignment: Assignment, call: OpenCall, account: AgentAccount
    ) -> tuple[Assignment, CallRequest]:
        """The request to make now. One that is in flight is the same, whatever has changed."""
        request = call.request
        current = with_current_settings(self._progress, assignment)
        if request is None or (
            request.idempotency_key not in account.in_flight
            and self._requests.body_changed(assignment, current)
        ):
            self._troubled.forget(assignment.subject)
            request = self._requests.make(current, account, call, account.model)
        if request.idempotency_key not in account.in_flight:
            assignment = current
        call.request, call.caller = request, assignment.caller
        return assignment, request

    async def _result(
        self, assignment: Assignment, request: CallRequest, account: AgentAccount, call: OpenCall
    ) -> CallResult | None:
        """None where the call has waited long enough for the end of an outage."""
        if not await self._outages.resumed(assignment.subject):
            return None
        if run_of(assignment.caller) is not None:
            await self._attempts.prepare(assignment, request)
        result = await self._attempts.make(assignment, request, account, call)
        self._outages.succeeded(assignment.subject, request.model)
        return result

    def _decision(
        self, assignment: Assignment, call: OpenCall, request: CallRequest, failure: Failure | None
    ) -> Decision:
        current = with_current_settings(self._progress, assignment)
        state = CallState(
            self._requests.price(request),
            call.waits_left,
            self._requests.body_changed(assignment, current),
            on_failure_decides=failure is not None and self._troubled.on_failure_decides(failure),
            unsent_may_fail=failure is not None
            and may_fail_unsent(failure, assignment.caller)
            and workflow.patched(UNSENT_MAY_FAIL),
        )
        return decide(failure, assignment.caller, request, state)

    async def _carry_out(
        self,
        decision: Decision,
        assignment: Assignment,
        account: AgentAccount,
        call: OpenCall,
        request: CallRequest,
        failure: Failure | None,
    ) -> CallRequest:
        """Returns the request to make next. Raises TaskFailed or TaskSkipped."""
        if failure is None or isinstance(decision, Retry):
            return request
        match decision:
            case Park(exhausted=True) | Fail(exhausted=True) | Skip() | Fallback():
                account.exhaust()
        match decision:
            case WaitForSettlement():
                await self._wait_for_settlement(account)
            case Park():
                self._troubled.forget(assignment.subject)
                await self._parking.park(assignment.subject, assignment.caller, account, failure)
                return made_again(request, failure)
            case Smaller(max_tokens):
                return with_new_key(request, max_tokens=max_tokens)
            case Fallback(model) if run_of(assignment.caller) is not None:
                return request.model_copy(update={"model": model})
            case Fallback(model) if call.conversation is not None:
                return self._requests.make(assignment, account, call, model)
            case Fallback(model):
                return with_new_key(request, model=model)
            case Skip():
                raise TaskSkipped(failure)
            case Fail():
                raise TaskFailed(failure)
        return request

    async def _wait_for_settlement(self, account: AgentAccount) -> None:
        if account.in_flight:
            await self._gate.settlement(account.agent)
        else:
            await workflow.sleep(RESERVED_ELSEWHERE, summary=f"{account.agent} · money is reserved")
            self._progress.changed()
