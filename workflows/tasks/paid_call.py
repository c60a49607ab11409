"""Makes an agent's calls: each is paid for, its answer checked, and repaired where it fails."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

from durable_agent_team.contracts.call import (
    MAX_REASONS,
    AttemptSpend,
    CallRequest,
    CallResult,
    Purpose,
)
from durable_agent_team.contracts.error_types import ErrorType, Outcome
from durable_agent_team.contracts.run import Failure
from durable_agent_team.contracts.spend import ModelCatalog
from durable_agent_team.contracts.team import Agent, OnFailure, OrchestratorAgent
from durable_agent_team.contracts.text_ref import Text
from durable_agent_team.rules.catalog import model_of, price_of
from durable_agent_team.rules.programs import run_of
from durable_agent_team.rules.retry_pauses import planned_attempts, quick_attempts
from workflows.activity_errors import failure_and_spend, is_final, was_lost
from workflows.activity_executor import ActivityExecutor
from workflows.command_turns import NotIssued
from workflows.money.run_accounts import RunAccounts
from workflows.people.approval import Approval
from workflows.people.parking import Parking
from workflows.policies import PATIENCE, ActivityOptions, call_options, program_options
from workflows.state.agent_account import AgentAccount, Use
from workflows.state.call_trouble import CallTrouble
from workflows.state.open_call import Issued, OpenCall
from workflows.state.progress import Progress
from workflows.state.unpaid import matching
from workflows.task_exceptions import (
    AgentChanged,
    CallInTrouble,
    TaskFailed,
    TaskSkipped,
    was_cancelled,
)
from workflows.tasks.assignments import with_current_settings, with_settings
from workflows.tasks.call_decisions import (
    BY_ON_FAILURE,
    CallState,
    Decision,
    Fail,
    Fallback,
    Park,
    Retry,
    Skip,
    Smaller,
    WaitForSettlement,
    counted_attempts,
    decide,
    may_be_attempted_again,
    may_fail_unsent,
    may_have_been_billed,
    outcome_of,
    record_of,
)
from workflows.tasks.call_requests import (
    Assignment,
    CallRequests,
    Room,
    digest,
    made_again,
    with_new_key,
)
from workflows.tasks.call_words import check_failed, model_refused, rejected_answer, summary
from workflows.tasks.gate import Candidate, Gate
from workflows.tasks.outages import Outages
from workflows.tasks.program_calls import ProgramCalls
from workflows.tasks.task_approvals import TaskApprovals
from workflows.tasks.tool_boxes import ToolBoxes
from workflows.tasks.turns import Turns, has_tools
from workflows.tools.tool_calls import ToolCalls

OUTLASTS = "outlast-trouble"
"""Runs from before this patch fail a call after its last attempt."""

UNSENT_MAY_FAIL = "unsent-calls-may-fail"
"""Runs from before this patch park a call that was never sent, also with `on_failure: fail`."""

CheckedByWorkflow = Callable[[str], Awaitable[Sequence[str]]]
"""What is wrong with an answer that the workflow itself reads."""

RESERVED_ELSEWHERE = timedelta(seconds=5)


class PaidCalls:
    """Makes calls for a run; `gate` says when each may start."""

    def __init__(
        self,
        progress: Progress,
        activities: ActivityExecutor,
        accounts: RunAccounts,
        parking: Parking,
        approval: Approval,
        catalog: ModelCatalog,
    ) -> None:
        self._progress = progress
        self._activities = activities
        self._accounts = accounts
        self._parking = parking
        self._catalog = catalog
        self._requests = CallRequests(catalog)
        self._max_repairs = progress.team.max_repairs
        self._programs = ProgramCalls(progress, activities, accounts)
        self.gate = Gate(progress, parking)
        self.outages = Outages(progress)
        boxes = ToolBoxes(progress, activities, parking)
        tool_calls = ToolCalls(progress, activities, parking, approval, self.gate)
        self._approvals = TaskApprovals(progress, approval, self.gate)
        self.turns = Turns(progress, activities, boxes, tool_calls)
        self.is_checking = False
        """An answer of the orchestrator's is being checked, which makes one call at a time."""

    def use_catalog(self, catalog: ModelCatalog) -> None:
        """From here on, requests are bounded by these prices."""
        self._catalog = catalog
        self._requests = CallRequests(catalog)

    @property
    def activities(self) -> ActivityExecutor:
        return self._activities

    async def answer(
        self, assignment: Assignment, problems: CheckedByWorkflow | None = None
    ) -> Text:
        """A checked answer. One that fails its checks is sent back with the reasons, as a new call.

        `problems` is a check by the workflow itself, of an answer that travels as its text (plans
        and reviews do). After the last repair, the agent's `on_failed_check` decides. Raises
        TaskFailed or TaskSkipped.
        """
        open_calls, subject = self._progress.open_calls, assignment.subject
        call = open_calls.setdefault(subject, OpenCall(assignment.agent))
        try:
            await self._approvals.before(assignment, call)
            return await self._checked(assignment, call, problems)
        except (TaskFailed, TaskSkipped) as ended:
            self.turns.broke_off(assignment, call, ended.failure.type)
            raise
        finally:
            if open_calls.get(subject) is call:  # else the task is done again
                del open_calls[subject]

    async def _checked(
        self,
        assignment: Assignment,
        call: OpenCall,
        problems: CheckedByWorkflow | None,
    ) -> Text:
        account = self._progress.accounts[assignment.agent]
        while True:
            if call.checked is not None and await self._may_be_handed_on(assignment, call):
                self.turns.end(assignment, call)
                return call.checked
            await self._get_ready(assignment, call)
            request, result = await self._paid(assignment, call)
            reasons = result.reasons
            if problems is not None and not reasons:
                self.is_checking = True
                try:
                    reasons = tuple(await problems(result.answer))
                except asyncio.CancelledError:  # it was paid, and is not used
                    account.settle(request.idempotency_key, result, Use.FAILED)
                    raise
                finally:
                    self.is_checking = False
            good = Use.USEFUL if call.number == 1 else Use.REPAIR
            if not reasons:
                self._programs.done(assignment.subject, request.idempotency_key)
            account.settle(request.idempotency_key, result, Use.FAILED if reasons else good)
            self._progress.call_seconds += result.seconds
            self.turns.took(call, request, result)
            if account.is_unexplained:
                await self._accounts.read_back(assignment.agent)
            if result.turn is not None:
                continue
            if not reasons:
                call.checked = result.text
                continue
            if result.refusal:  # asked again, it would be paid again
                await self._checks_failed(assignment, call, model_refused(result.refusal))
            elif call.number > self._max_repairs:
                await self._checks_failed(assignment, call, check_failed(call.number, reasons))
            else:
                rejected = rejected_answer(result, reasons[:MAX_REASONS])
                self.turns.reject(assignment, call, rejected)

    async def _may_be_handed_on(self, assignment: Assignment, call: OpenCall) -> bool:
        """False where a person has sent the answer back to its agent."""
        assert call.checked is not None
        rejected = await self._approvals.after(assignment, call.checked)
        if rejected is None:
            return True
        call.checked = None
        self.turns.reject(assignment, call, rejected)
        call.number = min(call.number, 2)  # its repairs are counted anew
        return False

    async def _get_ready(self, assignment: Assignment, call: OpenCall) -> None:
        """What an agent with tools does before a turn, without a place of `max_parallel`."""
        if has_tools(assignment):
            self.gate.leave(assignment.subject)
            await self.turns.get_ready(assignment, call)
            while failure := self.turns.cannot_answer(assignment, call):
                await self._checks_failed(assignment, call, failure)
                await self.turns.get_ready(assignment, call)

    async def inline_answer(self, assignment: Assignment, problems: CheckedByWorkflow) -> str:
        """The text of a plan or a review, which the workflow reads itself."""
        answer = await self.answer(assignment, problems)
        assert isinstance(answer, str)
        return answer

    async def _checks_failed(
        self, assignment: Assignment, call: OpenCall, failure: Failure
    ) -> None:
        """After the last repair, or a refusal: parks, and returns when the call is to start over;
        or raises TaskFailed."""
        self.turns.end(assignment, call, failure.type)
        caller = with_current_settings(self._progress, assignment).caller
        if caller.on_failed_check is OnFailure.FAIL or self._progress.stopping:
            raise TaskFailed(failure)
        call.start_over()
        account = self._progress.accounts[assignment.agent]
        await self._parking.park(assignment.subject, caller, account, failure)

    async def _paid(self, assignment: Assignment, call: OpenCall) -> tuple[CallRequest, CallResult]:
        """Waits for the end of an outage, for money, or a person, until the call is made; returns
        its billed answer, and the request that was answered."""
        try:
            return await self._until_answered(assignment, call)
        finally:
            self._forget_trouble(assignment.subject)

    async def _until_answered(
        self, assignment: Assignment, call: OpenCall
    ) -> tuple[CallRequest, CallResult]:
        account = self._progress.accounts[assignment.agent]
        if call.parked_after is not None or assignment.subject in self._progress.troubled:
            self.gate.leave(assignment.subject)
        if call.parked_after is not None:
            caller = with_current_settings(self._progress, assignment).caller
            failed = call.parked_after
            await self._parking.park(assignment.subject, caller, account, failed)
            assignment = self._take_up(assignment, call, account)
            call.request = made_again(call.request, failed) if call.request else None
        assignment = self._take_up(assignment, call, account)
        while True:
            request = call.request
            current = with_current_settings(self._progress, assignment)
            if request is None or (
                request.idempotency_key not in account.in_flight
                and self._body_changed(assignment, current)
            ):
                self._forget_trouble(assignment.subject)
                request = self._made(current, account, call, account.model)
            if request.idempotency_key not in account.in_flight:
                assignment = current
            call.request, call.caller = request, assignment.caller
            if request.idempotency_key not in account.in_flight:
                await self._approvals.dear_call(
                    assignment, request, self._most(assignment, request, account), call
                )
            failure: Failure | None = None
            try:
                if await self.outages.resumed(assignment.subject):
                    if run_of(assignment.caller) is not None:
                        await self._prepare(assignment, request)
                    result = await self._call(assignment, request, account, call)
                    self.outages.succeeded(assignment.subject, request.model)
                    return request, result
                failure = self._gave_up(assignment.subject)
            except AgentChanged:
                pass
            except CallInTrouble as trouble:
                if await self._wait_out(assignment, trouble):
                    continue
                failure = self._gave_up(assignment.subject)
            except TaskFailed as failed:
                failure = failed.failure
                self.outages.leave(assignment.subject)
                size = request.conversation.prompt_bytes if request.conversation else 0
                if self.turns.make_room(call, failure, size):
                    call.request = None
                    continue
                failure = self.turns.without_room(call, failure)
            current = with_current_settings(self._progress, assignment)
            price = price_of(self._catalog, request.model)
            state = CallState(
                price,
                call.waits_left,
                self._body_changed(assignment, current),
                on_failure_decides=failure is not None and self._on_failure_decides(failure),
                unsent_may_fail=failure is not None
                and may_fail_unsent(failure, assignment.caller)
                and workflow.patched(UNSENT_MAY_FAIL),
            )
            decision = decide(failure, assignment.caller, request, state)
            call.waits_left -= isinstance(decision, WaitForSettlement)
            call.request = await self._carry_out(
                decision, assignment, account, call, request, failure
            )

    def _made(
        self, current: Assignment, account: AgentAccount, call: OpenCall, model: str
    ) -> CallRequest:
        """A program's requests have the key of its scope, whatever is in them."""
        ref = self._progress.account_refs[current.agent]
        if run_of(current.caller) is not None:
            scope = self._programs.scope(current).id
            return self._requests.make(current, ref, model, call.rejected, scope=scope)
        room = Room(call.growth, account.available_usd)
        while True:
            said = self.turns.conversation(current, call, model, self._catalog)
            try:
                return self._requests.make(
                    current, ref, model, call.rejected, room, conversation=said
                )
            except TaskFailed as failed:
                size = said.prompt_bytes if said is not None else 0
                if not self.turns.make_room(call, failed.failure, size):
                    raise TaskFailed(self.turns.without_room(call, failed.failure)) from None

    def _most(
        self, assignment: Assignment, request: CallRequest, account: AgentAccount
    ) -> Decimal | None:
        """What a call can cost at most; a program's, all that its account has."""
        if run_of(assignment.caller) is not None:
            return account.available_usd
        return self._requests.bound(request)

    def _take_up(self, assignment: Assignment, call: OpenCall, account: AgentAccount) -> Assignment:
        """Makes the request again that an earlier execution of the run has made, with the settings
        of that time. Where it comes out differently, which only other code can cause, it would be
        refused under the same key: the old one counts as lost, and a new call is made."""
        issued, call.issued = call.issued, None
        if issued is None:
            return assignment
        made_with = with_settings(self._progress, assignment, issued.caller)
        ref = self._progress.account_refs[assignment.agent]
        said = self.turns.conversation(made_with, call, issued.model, self._catalog)
        request = self._requests.again(made_with, ref, issued, call.rejected, said)
        if digest(request) == issued.digest:
            call.request = request
            return made_with
        if issued.key in account.in_flight:
            account.fail(issued.key, Decimal(0), may_be_billed=True)
        return assignment

    def prepare_to_continue(self) -> None:
        """Notes of every call that was sent what the next execution needs to make its request
        again. Calls that were not sent get new requests there."""
        for call in self._progress.open_calls.values():
            request, caller = call.request, call.caller
            sent = self._progress.accounts[call.agent].charges.issued
            if request is None or request.idempotency_key not in sent:
                continue
            if isinstance(caller, Agent | OrchestratorAgent):
                call.issued = Issued(
                    key=request.idempotency_key,
                    model=request.model,
                    max_tokens=request.max_tokens,
                    caller=caller,
                    digest=digest(request),
                    known_limits=request.known_limits,
                )

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
                self._forget_trouble(assignment.subject)
                await self._parking.park(assignment.subject, assignment.caller, account, failure)
                return made_again(request, failure)
            case Smaller(max_tokens):
                return with_new_key(request, max_tokens=max_tokens)
            case Fallback(model) if run_of(assignment.caller) is not None:
                return request.model_copy(update={"model": model})
            case Fallback(model) if call.conversation is not None:
                return self._made(assignment, account, call, model)
            case Fallback(model):
                return with_new_key(request, model=model)
            case Skip():
                raise TaskSkipped(failure)
            case Fail():
                raise TaskFailed(failure)
        return request

    def _body_changed(self, before: Assignment, now: Assignment) -> bool:
        """Whether the agent's model, instructions or `max_tokens` have changed: that makes another
        call."""
        models = {model_of(each.caller, self._catalog) for each in (before, now)}
        limits = {each.caller.max_tokens for each in (before, now)}
        return len(models) > 1 or len(limits) > 1 or before.system != now.system

    async def _call(
        self, assignment: Assignment, request: CallRequest, account: AgentAccount, call: OpenCall
    ) -> CallResult:
        """One call, once it may start. Raises TaskFailed, AgentChanged and CancelledError."""
        key = request.idempotency_key
        is_program = run_of(assignment.caller) is not None
        bound = None if is_program else self._requests.bound(request)
        task = assignment.subject if assignment.purpose is Purpose.WORK else None
        candidate = Candidate(assignment.subject, assignment.caller, account, bound)
        is_in_flight = key in account.in_flight
        place = self.gate.taken_up() if is_in_flight else self.gate.slot(candidate)
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
                self.gate.release(assignment.agent)
                self._progress.changed()
        raise await self._failed(assignment, request, account, failed)

    async def _attempts(
        self, assignment: Assignment, request: CallRequest, call: OpenCall
    ) -> CallResult:
        """Attempts by the agent's policy; another round of them, with more patience, where a worker
        was lost each time. Only one round with a provider that would charge for the call again."""
        rounds = PATIENCE if self._progress.capabilities.replay else PATIENCE[:1]
        max_parallel = self._progress.team.max_parallel
        attempts = self._attempts_at_once(assignment)
        shown = summary(assignment, call, self._progress.troubled.get(assignment.subject))
        unpaid = matching(self._progress.unpaid, self._upstream(request))
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
        result, spent_before = await self.turns.execute(request, call, options, summary=shown)
        if spent_before:
            account = self._progress.accounts[assignment.agent]
            account.charges.add(request.idempotency_key, Use.FAILED, spent_before)
        return result

    async def _prepare(self, assignment: Assignment, request: CallRequest) -> None:
        """Before a program takes a place. One that is in flight since an earlier execution of the
        run has its environment."""
        account = self._progress.accounts[assignment.agent]
        if request.idempotency_key not in account.in_flight and not self._progress.stopping:
            self.gate.leave(assignment.subject)
            await self._programs.prepare(assignment)

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
            account.count_program(key, spend.usage)
        if is_program and not was_lost(error):
            self._programs.failed(subject, key, failure)
        if failure.type == ErrorType.UPSTREAM_OUT_OF_FUNDS:
            upstream = self._upstream(request) or failure.upstream or ""
            failure = failure.model_copy(update={"upstream": upstream})
        if is_cancelled_exception(error) or was_cancelled():
            account.fail(key, spend.spent_usd, may_be_billed=True)
            return asyncio.CancelledError()
        if self._on_failure_decides(failure):
            final = is_final(error) or was_lost(error)
            trouble = self._note_trouble(assignment, request, failure, spend, final=final)
            retry = with_current_settings(self._progress, assignment).caller.retry
            now = workflow.now()
            retry_after = timedelta(seconds=spend.retry_after_seconds or 0)
            if may_be_attempted_again(failure, retry, trouble, now, final=final):
                billed = is_program or may_have_been_billed(failure, spend)
                account.interrupt(key, spend.spent_usd, may_be_billed=billed)
                self._progress.tasks.withdrawn(subject)
                return CallInTrouble(failure, retry_after)
            if outcome_of(failure) is Outcome.OUTLASTED:
                self.outages.gave_up(subject, trouble, retry, retry_after)
            failure = self._gave_up(subject, failure)
            spend = spend.model_copy(update={"attempts": trouble.attempts})
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

    def _on_failure_decides(self, failure: Failure) -> bool:
        """Whether a call that failed like this is attempted again by itself, and then parks."""
        return (
            outcome_of(failure) in BY_ON_FAILURE
            and not self._progress.stopping
            and workflow.patched(OUTLASTS)
        )

    def _upstream(self, request: CallRequest) -> str | None:
        """The name of who serves the call, where the gateway says it."""
        price = price_of(self._catalog, request.model)
        return price.upstream if price is not None else None

    def _attempts_at_once(self, assignment: Assignment) -> int:
        """In one activity: a few for a new call; one for a call in trouble, as others wait too."""
        retry = assignment.caller.retry
        trouble = self._progress.troubled.get(assignment.subject)
        return quick_attempts(retry) if trouble is None else 1

    def _note_trouble(
        self,
        assignment: Assignment,
        request: CallRequest,
        failure: Failure,
        spend: AttemptSpend,
        *,
        final: bool,
    ) -> CallTrouble:
        """Adds the attempts of an activity that failed to those before."""
        retry = assignment.caller.retry
        at_once = 1 if final else self._attempts_at_once(assignment)
        trouble = self._progress.troubled.get(assignment.subject)
        if trouble is None:
            now = workflow.now()
            trouble = self._progress.troubled[assignment.subject] = CallTrouble(
                agent=assignment.agent,
                model=request.model,
                key=request.idempotency_key,
                since=now,
                until=now + timedelta(seconds=retry.give_up_after_seconds),
                planned=planned_attempts(retry),
            )
        trouble.attempts += spend.attempts or at_once
        trouble.counted += counted_attempts(
            failure, spend, at_once, replays=self._progress.capabilities.replay
        )
        trouble.type, trouble.message = failure.type, failure.message[:300]
        return trouble

    async def _wait_out(self, assignment: Assignment, failed: CallInTrouble) -> bool:
        """Returns True when the call may be attempted again, and False when it has waited long
        enough."""
        subject = assignment.subject
        trouble = self._progress.troubled[subject]
        retry = with_current_settings(self._progress, assignment).caller.retry
        if outcome_of(failed.failure) is not Outcome.OUTLASTED:
            return await self.outages.pause(subject, trouble, retry)
        return await self.outages.outlast(subject, trouble, retry, failed.retry_after)

    def _gave_up(self, subject: str, failure: Failure | None = None) -> Failure:
        """The failure of a call that is not attempted any more, with how often it was."""
        trouble = self._progress.troubled[subject]
        failure = failure or Failure(type=trouble.type, message=trouble.message)
        if trouble.attempts < 2:
            return failure
        seconds = (workflow.now() - trouble.since).total_seconds()
        how_long = f" ({trouble.attempts} attempts in {seconds:.0f} s)"
        return failure.model_copy(update={"message": f"{failure.message[:1900]}{how_long}"})

    def _forget_trouble(self, subject: str) -> None:
        self._progress.troubled.pop(subject, None)
        self.outages.leave(subject)

    async def _wait_for_settlement(self, account: AgentAccount) -> None:
        if account.in_flight:
            await self.gate.settlement(account.agent)
        else:
            await workflow.sleep(RESERVED_ELSEWHERE, summary=f"{account.agent} · money is reserved")
            self._progress.changed()
