"""Makes one call, once it may start: its attempts, and what is recorded where they fail."""

import asyncio
from dataclasses import replace
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

from durable_agent_team.contracts.call import AttemptSpend, CallRequest, CallResult, Purpose
from durable_agent_team.contracts.error_types import ErrorType, Outcome
from durable_agent_team.contracts.run import Failure
from durable_agent_team.rules.programs import run_of
from workflows.activity_errors import failure_and_spend, is_final, was_lost
from workflows.command_turns import NotIssued
from workflows.money.run_accounts import RunAccounts
from workflows.people.parking import Parking
from workflows.policies import PATIENCE, ActivityOptions, call_options, program_options
from workflows.state.agent_account import AgentAccount
from workflows.state.charges import Use
from workflows.state.open_call import OpenCall
from workflows.state.progress import Progress
from workflows.state.unpaid import matching
from workflows.task_exceptions import CallInTrouble, TaskFailed, was_cancelled
from workflows.tasks.assignments import with_current_settings
from workflows.tasks.call_decisions import (
    may_be_attempted_again,
    may_have_been_billed,
    outcome_of,
    record_of,
)
from workflows.tasks.call_requests import Assignment
from workflows.tasks.call_words import summary
from workflows.tasks.gate import Candidate, Gate
from workflows.tasks.open_requests import OpenRequests
from workflows.tasks.outages import Outages
from workflows.tasks.program_calls import ProgramCalls
from workflows.tasks.troubled_calls import TroubledCalls
from workflows.tasks.turns import Turns


class CallAttempts:
    """Makes the attempts of a call. `PaidCalls` decides what follows a call that failed."""

    def __init__(
        self,
        progress: Progress,
        accounts: RunAccounts,
        parking: Parking,
        gate: Gate,
        requests: OpenRequests,
        turns: Turns,
        programs: ProgramCalls,
        outages: Outages,
        troubled: TroubledCalls,
    ) -> None:
        self._progress = progress
        self._accounts = accounts
        self._parking = parking
        self._gate = gate
        self._requests = requests
        self._turns = turns
        self._programs = programs
        self._outages = outages
        self._troubled = troubled

    async def prepare(self, assignment: Assignment, request: CallRequest) -> None:
        """Before a program takes a place. One that is in flight since an earlier execution of the
        run has its environment."""
        account = self._progress.accounts[assignment.agent]
        if request.idempotency_key not in account.in_flight and not self._progress.stopping:
            self._gate.leave(assignment.subject)
            await self._programs.prepare(assignment)

    async def make(
        self, assignment: Assignment, request: CallRequest, account: AgentAccount, call: OpenCall
    ) -> CallResult:
        """One call, once it may start. Raises TaskFailed, AgentChanged and CancelledError."""
        key = request.idempotency_key
        is_program = run_of(assignment.caller) is not None
        bound = None if is_program else self._requests.bound(request)
        task = assignment.subject if assignment.purpose is Purpose.WORK else None
        candidate = Candidate(assignment.subject, assignment.caller, account, bound)
        is_in_flight = key in account.in_flight
        place = self._gate.taken_up() if is_in_flight else self._gate.slot(candidate)
        async with place:
            if not is_in_flight:
                self._progress.tasks.started(assignment.subject, workflow.now())
                if is_program:
                    account.begin_program(key, task)
                else:
                    account.begin(key, bound, task)
                call.lost_rounds = 0
            try:
                return await self._attempts(assignment, request, call)
            except ActivityError as error:
                failed = error
            except NotIssued as stopped:
                account.withdraw(key, may_be_billed=stopped.attempted)
                self._progress.tasks.withdrawn(assignment.subject)
                raise
            finally:
                self._gate.release(assignment.agent)
                self._progress.changed()
        raise await self._failed(assignment, request, account, failed)

    async def _attempts(
        self, assignment: Assignment, request: CallRequest, call: OpenCall
    ) -> CallResult:
        """Attempts by the agent's policy; another round of them, with more patience, where a worker
        was lost each time. Only one round with a provider that would charge for the call again."""
        rounds = PATIENCE if self._progress.capabilities.replay else PATIENCE[:1]
        max_parallel = self._progress.team.max_parallel
        attempts = self._troubled.attempts_at_once(assignment)
        shown = summary(assignment, call, self._progress.troubled.get(assignment.subject))
        unpaid = matching(self._progress.unpaid, self._requests.upstream(request))
        for patience in rounds[call.lost_rounds :]:
            try:
                options = self._options(assignment, max_parallel, patience, attempts)
                result = await self._execute(assignment, request, call, options, shown)
                if not result.replayed:  # a stored answer says nothing about now
                    self._parking.paid(unpaid)
                return result
            except NotIssued as stopped:
                stopped.attempted = patience != rounds[0]
                raise
            except ActivityError as error:
                if patience == rounds[-1] or was_cancelled() or not was_lost(error):
                    raise
                call.lost_rounds += 1
        raise AssertionError("the last round returns or raises")

    def _options(
        self, assignment: Assignment, max_parallel: int, patience: int, attempts: int
    ) -> ActivityOptions:
        of_kind = call_options if run_of(assignment.caller) is None else program_options
        return of_kind(assignment.caller, max_parallel, patience, attempts)

    async def _execute(
        self,
        assignment: Assignment,
        request: CallRequest,
        call: OpenCall,
        options: ActivityOptions,
        shown: str,
    ) -> CallResult:
        if run_of(assignment.caller) is not None:
            return await self._programs.execute(assignment, request, options, summary=shown)
        result, spent_before = await self._turns.execute(request, call, options, summary=shown)
        if spent_before:
            account = self._progress.accounts[assignment.agent]
            account.charges.add(request.idempotency_key, Use.FAILED, spent_before)
        return result

    async def _failed(
        self,
        assignment: Assignment,
        request: CallRequest,
        account: AgentAccount,
        error: ActivityError,
    ) -> BaseException:
        """Records a call that failed, and reads from the ledger what it may have cost; returns what
        to raise."""
        subject, key = assignment.subject, request.idempotency_key
        failure, spend = failure_and_spend(error)
        is_program = run_of(assignment.caller) is not None
        if is_program and spend.usage is not None:
            account.usage.add_program(key, spend.usage)
        if is_program and not was_lost(error):
            self._programs.failed(subject, key, failure)
        if failure.type == ErrorType.UPSTREAM_OUT_OF_FUNDS:
            upstream = self._requests.upstream(request) or failure.upstream or ""
            failure = failure.model_copy(update={"upstream": upstream})
        if is_cancelled_exception(error) or was_cancelled():
            account.fail(key, spend.spent_usd, may_be_billed=True)
            return asyncio.CancelledError()
        if self._troubled.on_failure_decides(failure):
            final = is_final(error) or was_lost(error)
            waits, failure, spend = self._in_trouble(
                assignment, request, account, failure, spend, final=final
            )
            if waits is not None:
                return waits
        record = record_of(failure, spend.attempts)
        if is_program:  # one of its calls may still be in flight at the gateway
            record = replace(record, may_be_billed=True)
        if record.withdrawn:
            account.withdraw(key, may_be_billed=record.may_be_billed, spent_usd=spend.spent_usd)
            self._progress.tasks.withdrawn(subject)
        else:
            account.fail(key, spend.spent_usd, may_be_billed=record.may_be_billed)
        if record.may_be_billed:
            await self._accounts.read_back(account.agent)
        return asyncio.CancelledError() if was_cancelled() else TaskFailed(failure)

    def _in_trouble(
        self,
        assignment: Assignment,
        request: CallRequest,
        account: AgentAccount,
        failure: Failure,
        spend: AttemptSpend,
        *,
        final: bool,
    ) -> tuple[CallInTrouble | None, Failure, AttemptSpend]:
        """What to raise where the call is attempted again later. None where it is given up, with
        its failure and its spend over all of its activities."""
        subject, key = assignment.subject, request.idempotency_key
        trouble = self._troubled.note(assignment, request, failure, spend, final=final)
        retry = with_current_settings(self._progress, assignment).caller.retry
        retry_after = timedelta(seconds=spend.retry_after_seconds or 0)
        if may_be_attempted_again(failure, retry, trouble, workflow.now(), final=final):
            is_program = run_of(assignment.caller) is not None
            billed = is_program or may_have_been_billed(failure, spend)
            account.interrupt(key, spend.spent_usd, may_be_billed=billed)
            self._progress.tasks.withdrawn(subject)
            return CallInTrouble(failure, retry_after), failure, spend
        if outcome_of(failure) is Outcome.OUTLASTED:
            self._outages.gave_up(subject, trouble, retry, retry_after)
        failure = self._troubled.gave_up(subject, failure)
        return None, failure, spend.model_copy(update={"attempts": trouble.attempts})
