"""A call of an agent as the workflow sees it: paid, checked, repaired."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from decimal import Decimal

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
from durable_agent_team.contracts.error_types import ERRORS, ErrorType, Outcome
from durable_agent_team.contracts.run import Failure
from durable_agent_team.contracts.spend import ModelCatalog
from durable_agent_team.contracts.team import Caller, OnExhausted
from durable_agent_team.rules.bounds import affordable_tokens
from durable_agent_team.rules.catalog import model_of, price_of
from workflows.activity_errors import understand, was_lost
from workflows.money.account import AgentAccount, Use
from workflows.money.accounts import Accounts
from workflows.people.parking import Parking
from workflows.policies import PATIENCE, call_options
from workflows.state.progress import Progress
from workflows.tasks.assignments import renewed
from workflows.tasks.call_requests import Assignment, CallRequests, another
from workflows.tasks.exceptions import AgentChanged, TaskFailed, TaskSkipped, was_cancelled
from workflows.tasks.gate import Candidate, Gate

MAY_BE_BILLED = frozenset(
    {
        ErrorType.UPSTREAM_TIMEOUT,
        ErrorType.UPSTREAM_UNAVAILABLE,
        ErrorType.WORKER_LOST,
        ErrorType.MALFORMED_ANSWER,
        ErrorType.KEY_CONFLICT,
        ErrorType.INTERNAL,
    }
)
"""After these nobody here knows whether the gateway charged: its ledger is asked. So it is where an
attempt before the last one may have been billed."""

NOT_BILLED = frozenset({ErrorType.BUDGET_RESERVED, ErrorType.BUDGET_EXHAUSTED})
"""Who is asked for the money of a call has not been paid for it, nor is it on its way."""

RESERVED_ELSEWHERE = timedelta(seconds=5)
RESERVED_TRIES = 60
"""Money that no call of this run holds is held by a lease of the gateway's, some minutes long."""


class PaidCalls:
    """Makes calls for a run; `gate` says when."""

    def __init__(
        self,
        progress: Progress,
        accounts: Accounts,
        parking: Parking,
        catalog: ModelCatalog,
        changed: Callable[[], None],
    ) -> None:
        team = progress.team
        self._progress = progress
        self._accounts = accounts
        self._parking = parking
        self._changed = changed
        self._catalog = catalog
        self._requests = CallRequests(catalog)
        self._max_repairs = team.max_repairs
        self.gate = Gate(progress, parking)

    async def ask(
        self, assignment: Assignment, accept: Callable[[str], Sequence[str]] | None = None
    ) -> str:
        """A checked answer. What fails its checks goes back with the reasons, at its own cost.

        `accept` adds reasons of the workflow's own. Raises TaskFailed or TaskSkipped.
        """
        account = self._progress.accounts[assignment.agent]
        rejected: Rejected | None = None
        for number in range(1, self._max_repairs + 2):
            request, result = await self._pay(assignment, rejected, number)
            reasons = tuple(result.reasons or (accept(result.answer) if accept else ()))
            good = Use.USEFUL if number == 1 else Use.REPAIR
            account.settle(request.idempotency_key, result, Use.FAILED if reasons else good)
            self._progress.call_seconds += result.seconds
            self._book(assignment, result.cost_usd + result.failed_attempts_usd)
            if account.is_unexplained:
                await self._accounts.read_back(assignment.agent)
            if not reasons:
                return result.answer
            rejected = Rejected(answer=result.answer, reasons=reasons[:MAX_REASONS])
        why = "; ".join(rejected.reasons) if rejected else ""
        raise TaskFailed(
            Failure(
                type=ErrorType.CHECK_FAILED,
                message=f"{self._max_repairs + 1} answers in a row failed their checks, the last"
                f" one: {why}"[:2000],
            )
        )

    async def _pay(
        self, assignment: Assignment, rejected: Rejected | None, number: int
    ) -> tuple[CallRequest, CallResult]:
        """The billed answer, however long its money takes to come; and the request that it is to:
        where another one was made meanwhile, that is a new call with a new key."""
        account = self._progress.accounts[assignment.agent]
        assignment = renewed(self._progress, assignment)
        request = self._request(assignment, account, rejected)
        patience = RESERVED_TRIES
        while True:
            failure: Failure | None = None
            try:
                return request, await self._call(assignment, request, account, number)
            except AgentChanged:
                pass
            except TaskFailed as refused:
                failure = refused.failure
                if not _may_go_again(failure):
                    raise
            if failure is not None and not self._asks_otherwise(assignment):
                if failure.type == ErrorType.BUDGET_RESERVED and patience:
                    patience -= 1
                    await self._wait_for_settlement(account)
                else:
                    request = await self._decide(assignment, account, request, failure)
            if self._asks_otherwise(assignment):
                request = self._request(renewed(self._progress, assignment), account, rejected)
            assignment = renewed(self._progress, assignment)

    def _asks_otherwise(self, assignment: Assignment) -> bool:
        """Whether the agent has another model or other instructions than it had: another body."""
        now = renewed(self._progress, assignment)
        models = {model_of(each.caller, self._catalog) for each in (assignment, now)}
        return len(models) > 1 or assignment.system != now.system

    async def _decide(
        self, assignment: Assignment, account: AgentAccount, request: CallRequest, failure: Failure
    ) -> CallRequest:
        """Nobody pays for this call as it is: the agent's policy says how it goes on, if at all.
        What is not about money waits for a person."""
        caller = assignment.caller
        if _outcome(failure) is Outcome.PARKS:
            await self._parking.park(assignment.subject, caller, account, failure)
            return request
        smaller = self._smaller(caller, request, failure)
        if smaller is not None:
            return smaller
        account.exhaust()
        if caller.on_exhausted is OnExhausted.FAIL:
            raise TaskFailed(failure)
        if caller.on_exhausted is OnExhausted.SKIP:
            raise TaskSkipped(failure)
        cheaper = caller.fallback_model
        if caller.on_exhausted is OnExhausted.FALLBACK and cheaper not in (None, request.model):
            return another(request, model=cheaper)
        await self._parking.park(assignment.subject, caller, account, failure)
        return request

    def _smaller(
        self, caller: Caller, request: CallRequest, failure: Failure
    ) -> CallRequest | None:
        """The same call with as many tokens of answer as the account can pay, above the floor."""
        price = price_of(self._catalog, request.model)
        fits = affordable_tokens(request.max_tokens, price, failure)
        if caller.min_tokens is None or fits is None or fits < caller.min_tokens:
            return None
        return another(request, max_tokens=fits)

    async def _call(
        self,
        assignment: Assignment,
        request: CallRequest,
        account: AgentAccount,
        number: int,
    ) -> CallResult:
        key = request.idempotency_key
        bound = self._requests.bound(request)
        call = Candidate(assignment.subject, assignment.caller, account, bound)
        async with self.gate.place(call):
            self._progress.started(assignment.subject, workflow.now())
            account.begin(key, bound)
            try:
                return await self._attempts(assignment, request, number)
            except ActivityError as error:
                failed = error
            finally:
                self.gate.release(assignment.agent)
                self._changed()
        raise await self._failed(account, assignment, key, failed)

    async def _attempts(
        self, assignment: Assignment, request: CallRequest, number: int
    ) -> CallResult:
        """By the agent's policy; anew, and more patiently, where a worker was lost each time. Not
        with a provider that would make the call, and take the money, once more."""
        rounds = PATIENCE if self._progress.capabilities.replay else PATIENCE[:1]
        max_parallel = self._progress.team.max_parallel
        for patience in rounds:
            try:
                return await workflow.execute_activity_method(
                    AgentActivities.call_agent,
                    request,
                    **call_options(assignment.caller, max_parallel, patience),
                    summary=_summary(assignment, number),
                )
            except ActivityError as error:
                if patience == rounds[-1] or was_cancelled() or not was_lost(error):
                    raise
            self._progress.ordered += 1
        raise AssertionError("the last patience returns or raises")

    async def _failed(
        self, account: AgentAccount, assignment: Assignment, key: str, error: ActivityError
    ) -> BaseException:
        failure, spend = understand(error)
        if is_cancelled_exception(error) or was_cancelled():
            account.fail(key, spend.spent_usd, may_be_billed=True)
            self._book(assignment, spend.spent_usd)
            return asyncio.CancelledError()
        if _may_go_again(failure):
            # This attempt sent nothing upstream, and the same call may go again: it has not failed
            # yet. An attempt before it may have been billed.
            unknown = _outcome(failure) is Outcome.PARKS or (
                spend.attempts > 1 and failure.type not in NOT_BILLED
            )
            account.withdraw(key, may_be_billed=unknown)
            self._progress.withdrawn(assignment.subject)
            if unknown:
                await self._accounts.read_back(account.agent)
            return asyncio.CancelledError() if was_cancelled() else TaskFailed(failure)
        unknown = failure.type in MAY_BE_BILLED or spend.attempts > 1
        account.fail(key, spend.spent_usd, may_be_billed=unknown)
        self._book(assignment, spend.spent_usd)
        if unknown:
            await self._accounts.read_back(account.agent)
        return asyncio.CancelledError() if was_cancelled() else TaskFailed(failure)

    async def _wait_for_settlement(self, account: AgentAccount) -> None:
        if account.in_flight:
            await self.gate.settlement(account.agent)
        else:
            await workflow.sleep(RESERVED_ELSEWHERE, summary=f"{account.agent} · money is reserved")
            self._changed()

    def _request(
        self, assignment: Assignment, account: AgentAccount, rejected: Rejected | None
    ) -> CallRequest:
        ref = self._accounts.refs[assignment.agent]
        return self._requests.make(assignment, ref, account.model, rejected)

    def _book(self, assignment: Assignment, usd: Decimal) -> None:
        """To the task: what its call is known to have cost, failed attempts included."""
        log = self._progress.logs.get(assignment.subject)
        if log is not None and assignment.purpose is Purpose.WORK:
            log.spent_usd += usd


def _may_go_again(failure: Failure) -> bool:
    """It was refused before it began, and money or a person's word can help."""
    return _outcome(failure) in (Outcome.ON_EXHAUSTED, Outcome.WAITS, Outcome.PARKS)


def _outcome(failure: Failure) -> Outcome:
    return ERRORS[ErrorType(failure.type)].outcome


def _summary(assignment: Assignment, number: int) -> str:
    repair = " (repair)" if number > 1 else ""
    return f"{assignment.agent} · {assignment.subject} · call {number}{repair}"
