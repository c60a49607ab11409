"""Makes an agent's calls: each is paid for, its answer checked, and repaired where it fails."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

from durable_agent_team.contracts.activity_interfaces import AgentActivities
from durable_agent_team.contracts.call import (
    MAX_REASONS,
    CallRequest,
    CallResult,
    Purpose,
    Rejected,
)
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.run import Failure
from durable_agent_team.contracts.spend import ModelCatalog
from durable_agent_team.contracts.text_ref import Text
from durable_agent_team.rules.catalog import model_of, price_of
from workflows.activity_errors import failure_and_spend, was_lost
from workflows.activity_executor import ActivityExecutor
from workflows.command_turns import NotIssued
from workflows.money.run_accounts import RunAccounts
from workflows.people.parking import Parking
from workflows.policies import PATIENCE, call_options
from workflows.state.agent_account import AgentAccount, Use
from workflows.state.progress import Progress
from workflows.task_exceptions import AgentChanged, TaskFailed, TaskSkipped, was_cancelled
from workflows.tasks.assignments import with_current_settings
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
    record_of,
)
from workflows.tasks.call_requests import Assignment, CallRequests, with_new_key
from workflows.tasks.gate import Candidate, Gate

RESERVED_ELSEWHERE = timedelta(seconds=5)
MAX_SETTLEMENT_WAITS = 60
"""Money that no call of this run holds is held by a lease of the gateway's, for some minutes."""


class PaidCalls:
    """Makes calls for a run; `gate` says when each may start."""

    def __init__(
        self,
        progress: Progress,
        activities: ActivityExecutor,
        accounts: RunAccounts,
        parking: Parking,
        catalog: ModelCatalog,
    ) -> None:
        self._progress = progress
        self._activities = activities
        self._accounts = accounts
        self._parking = parking
        self._catalog = catalog
        self._requests = CallRequests(catalog)
        self._max_repairs = progress.team.max_repairs
        self.gate = Gate(progress, parking)

    async def answer(
        self, assignment: Assignment, problems: Callable[[str], Sequence[str]] | None = None
    ) -> Text:
        """A checked answer. One that fails its checks is sent back with the reasons, as a new call.

        `problems` is a check by the workflow itself, of an answer that travels as its text (plans
        and reviews do). Raises TaskFailed or TaskSkipped.
        """
        account = self._progress.accounts[assignment.agent]
        rejected: Rejected | None = None
        for number in range(1, self._max_repairs + 2):
            request, result = await self._paid(assignment, rejected, number)
            reasons = tuple(result.reasons or (problems(result.answer) if problems else ()))
            good = Use.USEFUL if number == 1 else Use.REPAIR
            account.settle(request.idempotency_key, result, Use.FAILED if reasons else good)
            self._progress.call_seconds += result.seconds
            if account.is_unexplained:
                await self._accounts.read_back(assignment.agent)
            if not reasons:
                return result.text
            rejected = _rejected(result, reasons[:MAX_REASONS])
        why = "; ".join(rejected.reasons) if rejected else ""
        raise TaskFailed(
            Failure(
                type=ErrorType.CHECK_FAILED,
                message=f"{self._max_repairs + 1} answers in a row failed their checks, the last"
                f" one: {why}"[:2000],
            )
        )

    async def inline_answer(
        self, assignment: Assignment, problems: Callable[[str], Sequence[str]]
    ) -> str:
        """The text of a plan or a review, which the workflow reads itself."""
        answer = await self.answer(assignment, problems)
        assert isinstance(answer, str)
        return answer

    async def _paid(
        self, assignment: Assignment, rejected: Rejected | None, number: int
    ) -> tuple[CallRequest, CallResult]:
        """Waits for money, or a person, until the call is made; returns its billed answer, and the
        request that was answered."""
        account = self._progress.accounts[assignment.agent]
        request: CallRequest | None = None
        waits_left = MAX_SETTLEMENT_WAITS
        while True:
            current = with_current_settings(self._progress, assignment)
            if request is None or self._body_changed(assignment, current):
                ref = self._accounts.refs[current.agent]
                request = self._requests.make(current, ref, account.model, rejected)
            assignment = current
            failure: Failure | None = None
            try:
                return request, await self._call(assignment, request, account, number)
            except AgentChanged:
                pass
            except TaskFailed as failed:
                failure = failed.failure
            current = with_current_settings(self._progress, assignment)
            price = price_of(self._catalog, request.model)
            state = CallState(price, waits_left, self._body_changed(assignment, current))
            decision = decide(failure, assignment.caller, request, state)
            waits_left -= isinstance(decision, WaitForSettlement)
            request = await self._carry_out(decision, assignment, account, request, failure)

    async def _carry_out(
        self,
        decision: Decision,
        assignment: Assignment,
        account: AgentAccount,
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
                await self._parking.park(assignment.subject, assignment.caller, account, failure)
            case Smaller(max_tokens):
                return with_new_key(request, max_tokens=max_tokens)
            case Fallback(model):
                return with_new_key(request, model=model)
            case Skip():
                raise TaskSkipped(failure)
            case Fail():
                raise TaskFailed(failure)
        return request

    def _body_changed(self, before: Assignment, now: Assignment) -> bool:
        """Whether the agent's model or instructions have changed: that makes another call."""
        models = {model_of(each.caller, self._catalog) for each in (before, now)}
        return len(models) > 1 or before.system != now.system

    async def _call(
        self, assignment: Assignment, request: CallRequest, account: AgentAccount, number: int
    ) -> CallResult:
        """One call, once it may start. Raises TaskFailed, AgentChanged and CancelledError."""
        key = request.idempotency_key
        bound = self._requests.bound(request)
        task = assignment.subject if assignment.purpose is Purpose.WORK else None
        call = Candidate(assignment.subject, assignment.caller, account, bound)
        async with self.gate.slot(call):
            self._progress.tasks.started(assignment.subject, workflow.now())
            account.begin(key, bound, task)
            try:
                return await self._attempts(assignment, request, number)
            except ActivityError as error:
                failed = error
            except NotIssued as stopped:
                account.withdraw(key, may_be_billed=stopped.attempted)
                self._progress.tasks.withdrawn(assignment.subject)
                raise
            finally:
                self.gate.release(assignment.agent)
                self._progress.changed()
        raise await self._failed(account, assignment.subject, key, failed)

    async def _attempts(
        self, assignment: Assignment, request: CallRequest, number: int
    ) -> CallResult:
        """Attempts by the agent's policy; another round of them, with more patience, where a worker
        was lost each time. Only one round with a provider that would charge for the call again."""
        rounds = PATIENCE if self._progress.capabilities.replay else PATIENCE[:1]
        max_parallel = self._progress.team.max_parallel
        for patience in rounds:
            try:
                return await self._activities.execute(
                    AgentActivities.call_agent,
                    request,
                    call_options(assignment.caller, max_parallel, patience),
                    summary=_summary(assignment, number),
                )
            except NotIssued as stopped:
                stopped.attempted = patience != rounds[0]
                raise
            except ActivityError as error:
                if patience == rounds[-1] or was_cancelled() or not was_lost(error):
                    raise
        raise AssertionError("the last round returns or raises")

    async def _failed(
        self, account: AgentAccount, subject: str, key: str, error: ActivityError
    ) -> BaseException:
        """Records a call that failed, and reads from the ledger what it may have cost; returns what
        to raise."""
        failure, spend = failure_and_spend(error)
        if is_cancelled_exception(error) or was_cancelled():
            account.fail(key, spend.spent_usd, may_be_billed=True)
            return asyncio.CancelledError()
        record = record_of(failure, spend.attempts)
        if record.withdrawn:
            account.withdraw(key, may_be_billed=record.may_be_billed)
            self._progress.tasks.withdrawn(subject)
        else:
            account.fail(key, spend.spent_usd, may_be_billed=record.may_be_billed)
        if record.may_be_billed:
            await self._accounts.read_back(account.agent)
        return asyncio.CancelledError() if was_cancelled() else TaskFailed(failure)

    async def _wait_for_settlement(self, account: AgentAccount) -> None:
        if account.in_flight:
            await self.gate.settlement(account.agent)
        else:
            await workflow.sleep(RESERVED_ELSEWHERE, summary=f"{account.agent} · money is reserved")
            self._progress.changed()


def _rejected(result: CallResult, reasons: tuple[str, ...]) -> Rejected:
    if result.answer_ref is None:
        return Rejected(answer=result.answer, reasons=reasons)
    return Rejected(answer_ref=result.answer_ref, reasons=reasons)


def _summary(assignment: Assignment, number: int) -> str:
    repair = " (repair)" if number > 1 else ""
    return f"{assignment.agent} · {assignment.subject} · call {number}{repair}"
