"""A call of an agent as the workflow sees it: room in the window, room in the account, repairs."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

from contracts.activities import AgentActivities
from contracts.calls import CallRequest, CallResult, Purpose, Rejected, Source
from contracts.errors import ERRORS, ErrorType, Outcome
from contracts.run import Failure
from contracts.spend import ModelCatalog
from contracts.team import BuiltInOutput, Caller, Checks, OnExhausted
from workflows.accounts import Accounts
from workflows.budget import Account, Use, affordable_tokens, text_bytes, worst_case_usd
from workflows.endings import TaskFailed, TaskSkipped, was_cancelled
from workflows.failures import understand
from workflows.parking import Parking
from workflows.policies import call_options
from workflows.progress import Progress
from workflows.prompts import BYTES_PER_TOKEN, MAX_PROMPT_BYTES
from workflows.validation import context_of, price_of

MAY_BE_BILLED = frozenset(
    {
        ErrorType.UPSTREAM_TIMEOUT,
        ErrorType.UPSTREAM_UNAVAILABLE,
        ErrorType.MALFORMED_ANSWER,
        ErrorType.INTERNAL,
    }
)
"""After these nobody here knows whether the gateway charged: its ledger is asked."""

RESERVED_ELSEWHERE = timedelta(seconds=5)
RESERVED_TRIES = 60
"""Money that no call of this run holds is held by a lease of the gateway's, some minutes long."""


@dataclass(frozen=True)
class Assignment:
    """What an agent is asked, in all the calls that it takes to get a good answer."""

    agent: str
    caller: Caller
    subject: str
    system: str
    ask: str
    purpose: Purpose = Purpose.WORK
    goal: str | None = None
    sources: tuple[Source, ...] = ()
    missing: tuple[str, ...] = ()
    output: BuiltInOutput | dict[str, Any] = "text"
    checks: Checks = field(default_factory=Checks)


class Calls:
    """Makes calls for a run: at most `max_parallel` at once, and none while it is paused."""

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
        self._max_repairs = team.max_repairs
        self._max_parallel = team.max_parallel
        self._window = asyncio.Semaphore(team.max_parallel)
        self._settled: defaultdict[str, list[asyncio.Future[None]]] = defaultdict(list)
        self._running = asyncio.Event()
        self.pause(progress.paused)

    async def ask(
        self, assignment: Assignment, accept: Callable[[str], Sequence[str]] | None = None
    ) -> str:
        """A checked answer. What fails its checks goes back with the reasons, at its own cost.

        `accept` adds reasons of the workflow's own. Raises TaskFailed or TaskSkipped.
        """
        account = self._progress.accounts[assignment.agent]
        rejected: Rejected | None = None
        for number in range(1, self._max_repairs + 2):
            request, result = await self._pay(
                assignment, self._request(assignment, rejected), number
            )
            reasons = tuple(result.reasons or (accept(result.answer) if accept else ()))
            good = Use.USEFUL if number == 1 else Use.REPAIR
            account.settle(request.idempotency_key, result, Use.FAILED if reasons else good)
            self._book(assignment, result)
            if account.is_unexplained:
                await self._accounts.read_back(assignment.agent)
            if not reasons:
                return result.answer
            rejected = Rejected(answer=result.answer, reasons=reasons)
        why = "; ".join(rejected.reasons) if rejected else ""
        raise TaskFailed(
            Failure(
                type=ErrorType.CHECK_FAILED,
                message=f"{self._max_repairs + 1} answers in a row failed their checks, the last"
                f" one: {why}"[:2000],
            )
        )

    def pause(self, paused: bool) -> None:
        """While paused, no call starts; those in flight go on."""
        if paused:
            self._running.clear()
        else:
            self._running.set()

    def release(self, agent: str) -> None:
        """Lets calls that wait for money of this agent look again, first come first served."""
        for waiter in self._settled.pop(agent, []):
            if not waiter.done():
                waiter.set_result(None)

    async def _pay(
        self, assignment: Assignment, request: CallRequest, number: int
    ) -> tuple[CallRequest, CallResult]:
        """The billed answer, however long its money takes to come; and the request that it is to:
        where a smaller or a cheaper one was made, that is a new call with a new key."""
        account = self._progress.accounts[assignment.agent]
        patience = RESERVED_TRIES
        while True:
            await self._may_start(assignment, account, self._bound(request))
            try:
                result = await self._call(assignment, request, account, number)
            except TaskFailed as refused:
                failure = refused.failure
            else:
                if result is None:
                    continue
                return request, result
            if failure.type == ErrorType.BUDGET_RESERVED and patience:
                patience -= 1
                await self._wait_for_settlement(account)
            else:
                request = await self._decide(assignment, account, request, failure)

    async def _decide(
        self, assignment: Assignment, account: Account, request: CallRequest, failure: Failure
    ) -> CallRequest:
        """Nobody pays for this call as it is: the agent's policy says how it goes on, if at all."""
        if ERRORS[ErrorType(failure.type)].outcome not in (Outcome.ASKS, Outcome.WAITS):
            raise TaskFailed(failure)
        caller = assignment.caller
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
            return _another(request, model=cheaper)
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
        return _another(request, max_tokens=fits)

    async def _may_start(
        self, assignment: Assignment, account: Account, bound: Decimal | None
    ) -> None:
        caller = assignment.caller
        while account.failures_in_row >= caller.breaker_failures:
            message = f"{account.failures_in_row} calls in a row failed; it is not called any more"
            opened = Failure(type=ErrorType.BREAKER_OPEN, message=message)
            await self._parking.park(assignment.subject, caller, account, opened)
        await self._room(account, bound)

    def _still_may(self, caller: Caller, account: Account, bound: Decimal | None) -> bool:
        return (
            self._running.is_set()
            and not self._progress.stopping
            and account.failures_in_row < caller.breaker_failures
            and account.has_room(bound)
        )

    async def _call(
        self,
        assignment: Assignment,
        request: CallRequest,
        account: Account,
        number: int,
    ) -> CallResult | None:
        """None: it waited for its place, and by then it might not start any more."""
        key = request.idempotency_key
        bound = self._bound(request)
        async with self._window:
            if not self._still_may(assignment.caller, account, bound):
                return None
            self._progress.started(assignment.subject, workflow.now())
            account.begin(key, bound)
            try:
                return await workflow.execute_activity_method(
                    AgentActivities.call_agent,
                    request,
                    **call_options(assignment.caller, self._max_parallel),
                    summary=_summary(assignment, number),
                )
            except ActivityError as error:
                failed = error
            finally:
                self.release(assignment.agent)
                self._changed()
        raise await self._failed(account, assignment.subject, key, failed)

    async def _failed(
        self, account: Account, subject: str, key: str, error: ActivityError
    ) -> BaseException:
        if is_cancelled_exception(error) or was_cancelled():
            account.fail(key, understand(error)[1].spent_usd, may_be_billed=True)
            return asyncio.CancelledError()
        failure, spend = understand(error)
        if ERRORS[ErrorType(failure.type)].outcome in (Outcome.ASKS, Outcome.WAITS):
            # Nothing was sent upstream, and the same call may go again: it has not failed yet.
            account.withdraw(key)
            self._progress.withdrawn(subject)
            return TaskFailed(failure)
        unknown = failure.type in MAY_BE_BILLED
        account.fail(key, spend.spent_usd, may_be_billed=unknown)
        if unknown:
            await self._accounts.read_back(account.agent)
        return TaskFailed(failure)

    async def _room(self, account: Account, bound: Decimal | None) -> None:
        await self._running.wait()
        if self._progress.stopping or was_cancelled():
            raise asyncio.CancelledError
        while not account.has_room(bound):
            await self._settlement(account.agent)

    async def _wait_for_settlement(self, account: Account) -> None:
        if account.in_flight:
            await self._settlement(account.agent)
        else:
            await workflow.sleep(RESERVED_ELSEWHERE, summary=f"{account.agent} · money is reserved")
            self._changed()

    async def _settlement(self, agent: str) -> None:
        waiter: asyncio.Future[None] = asyncio.get_event_loop().create_future()
        self._settled[agent].append(waiter)
        await waiter

    def _request(self, assignment: Assignment, rejected: Rejected | None) -> CallRequest:
        caller = assignment.caller
        account = self._progress.accounts[assignment.agent]
        optional: dict[str, Any] = {
            "purpose": assignment.purpose if assignment.purpose is not Purpose.WORK else None,
            "temperature": caller.temperature,
            "frequency_penalty": caller.frequency_penalty,
            "seed": caller.seed,
            "goal": assignment.goal,
            "sources": assignment.sources,
            "missing": assignment.missing,
            "rejected": rejected,
            "output": assignment.output if assignment.output != "text" else None,
            "checks": assignment.checks if assignment.checks != Checks() else None,
        }
        request = CallRequest(
            idempotency_key=str(workflow.uuid4()),
            account=self._accounts.refs[assignment.agent],
            task=assignment.subject,
            model=account.model,
            max_tokens=caller.max_tokens,
            system=assignment.system,
            ask=assignment.ask,
            **{name: value for name, value in optional.items() if value},
        )
        self._must_fit(caller, request)
        return request

    def _must_fit(self, caller: Caller, request: CallRequest) -> None:
        size = text_bytes(request)
        if size > MAX_PROMPT_BYTES:
            raise TaskFailed(
                Failure(
                    type=ErrorType.CONTEXT_EXCEEDED,
                    message=f"the prompt has {size} bytes, more than the {MAX_PROMPT_BYTES} that a"
                    " call may carry; it was not sent",
                )
            )
        context = context_of(caller, price_of(self._catalog, request.model))
        needed = -(-size // BYTES_PER_TOKEN) + request.max_tokens
        if context is not None and needed > context:
            raise TaskFailed(
                Failure(
                    type=ErrorType.CONTEXT_EXCEEDED,
                    message=f"the prompt and max_tokens {request.max_tokens} come to about {needed}"
                    f" tokens, above the {context} of {request.model}; it was not sent",
                )
            )

    def _bound(self, request: CallRequest) -> Decimal | None:
        price = price_of(self._catalog, request.model)
        return worst_case_usd(text_bytes(request), request.max_tokens, price)

    def _book(self, assignment: Assignment, result: CallResult) -> None:
        self._progress.call_seconds += result.seconds
        log = self._progress.logs.get(assignment.subject)
        if log is not None and assignment.purpose is Purpose.WORK:
            log.spent_usd += result.cost_usd


def _another(request: CallRequest, **changes: Any) -> CallRequest:
    """A call with another body is another call."""
    key = str(workflow.uuid4())
    return request.model_copy(update={**changes, "idempotency_key": key})


def _summary(assignment: Assignment, number: int) -> str:
    repair = " (repair)" if number > 1 else ""
    return f"{assignment.agent} · {assignment.subject} · call {number}{repair}"
