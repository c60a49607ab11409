"""Parks calls: they wait, durably, for a person, and hold no slot of `max_parallel`."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol

from temporalio import workflow

from durable_agent_team.contracts.error_types import ERRORS, ErrorType
from durable_agent_team.contracts.run import Failure, Waiting
from durable_agent_team.contracts.team import Caller
from workflows.people.decisions import UNDER_WAY, UnderWay, time_left
from workflows.people.notifier import Notifier
from workflows.state.agent_account import AgentAccount
from workflows.state.progress import Progress
from workflows.state.unpaid import UnpaidUpstream
from workflows.state.waiting_list import answering_command, budget_command, run_command
from workflows.task_exceptions import TaskFailed, TaskSkipped
from workflows.timed_wait import wait_condition

REPEATED_BY_WORD = "limits-are-not-woken-by-money"
"""In runs from before this patch, money also wakes what ran into a limit of the gateway's own."""


class Parkable(Protocol):
    """The state of a call that can park."""

    parked_after: Failure | None


@dataclass
class _Parked:
    agent: str
    woken: asyncio.Future[None]
    needs_answer: bool
    """Only a person's answer makes it continue: not money, and not a retry."""
    may_be_billed_again: bool
    """Its call ran into a limit of the gateway's own, and would be made upstream once more. Money
    that comes for another call, or was on its way already, is no word that it should be."""


class Parking:
    """The parked calls of a run, by the task or step, or the call of a tool, that they are."""

    def __init__(self, progress: Progress, notifier: Notifier) -> None:
        self._progress = progress
        self._notifier = notifier
        self._parked: dict[str, _Parked] = {}
        self.help = UnderWay()
        """By agent: money that is on its way, or a model that is being looked up."""

    async def park(
        self,
        subject: str,
        caller: Caller,
        account: AgentAccount,
        failure: Failure,
        call: Parkable | None = None,
    ) -> None:
        """Returns when the call is woken: a task's or a step's, or the `call` of a tool.

        After the park timeout raises TaskFailed or TaskSkipped, as the agent's `on_park_timeout`
        says. Raises CancelledError in a run that starts no new call.
        """
        if self._progress.stopping:
            raise asyncio.CancelledError
        is_tool, call = call is not None, call or self._progress.open_calls[subject]
        woken: asyncio.Future[None] = asyncio.get_event_loop().create_future()
        needs_answer = is_tool and failure.type == ErrorType.EFFECT_UNKNOWN
        again = not ERRORS[ErrorType(failure.type)].repeated
        self._parked[subject] = _Parked(account.agent, woken, needs_answer, again)
        waiting = self._progress.waiting.get(subject)
        if waiting is None or call.parked_after is None:  # else since an earlier execution
            waiting = self._waiting(subject, caller, account, failure, is_tool=is_tool)
            call.parked_after = failure
            self._progress.park(waiting)
            account.park()
            self._progress.changed()
        if waiting.type == ErrorType.UPSTREAM_OUT_OF_FUNDS:
            self._progress.unpaid.setdefault(
                waiting.upstream or "", UnpaidUpstream(since=workflow.now())
            )
        notifying = self._notifier.parked(waiting)
        try:
            await wait_condition(
                woken.done,
                timeout=_left(waiting, caller),
                timeout_summary=f"{account.agent} · {subject} · parked",
            )
        except TimeoutError:
            if not await self._helped(account.agent, woken):
                raise _timed_out(caller, failure) from None
        finally:
            notifying.cancel()
            del self._parked[subject]
            call.parked_after = None
            self._progress.unpark(subject)
            account.unpark(still_parked=self._is_parked(account.agent))
            self._progress.changed()

    async def _helped(self, agent: str, woken: asyncio.Future[None]) -> bool:
        """At the time limit: whether what a person has sent before wakes the call."""
        if agent not in self.help or not workflow.patched(UNDER_WAY):
            return False
        await workflow.wait_condition(lambda: woken.done() or agent not in self.help)
        return woken.done()

    def wake_paid(self, agent: str) -> None:
        """Wakes all calls of this agent that money can help."""
        for subject, parked in self._of(agent):
            if not parked.may_be_billed_again or not workflow.patched(REPEATED_BY_WORD):
                self.wake(subject)

    def wake_changed(self, agent: str) -> None:
        """Wakes all calls of this agent: with its new settings, each is another call."""
        for subject, _ in self._of(agent):
            self.wake(subject)

    def _of(self, agent: str) -> list[tuple[str, _Parked]]:
        return [
            (subject, parked)
            for subject, parked in self._parked.items()
            if parked.agent == agent and not parked.needs_answer
        ]

    def wake_unpaid(self, upstream: str | None = None) -> None:
        """Wakes all calls that an unpaid upstream refused: this one, or any."""
        for subject, waiting in list(self._progress.waiting.items()):
            is_unpaid = waiting.type == ErrorType.UPSTREAM_OUT_OF_FUNDS
            if is_unpaid and upstream in (None, waiting.upstream or ""):
                self.wake(subject)

    def paid(self, upstreams: Iterable[str]) -> None:
        """These have answered a call that was made after they had refused others: the operator has
        paid."""
        for name in upstreams:
            if self._progress.unpaid.pop(name, None) is not None:
                self.wake_unpaid(name)

    def wake_all(self) -> None:
        """For a run that ends: each call looks again, and finds that nothing new may start."""
        for subject in list(self._parked):
            self.wake(subject)

    def wake(self, subject: str) -> bool:
        """Returns False where nothing of this name is parked."""
        parked = self._parked.get(subject)
        if parked is None:
            return False
        if not parked.woken.done():
            parked.woken.set_result(None)
        return True

    def needs_answer(self, subject: str) -> bool:
        """Whether only a person's answer makes this call continue."""
        parked = self._parked.get(subject)
        return parked is not None and parked.needs_answer

    def wake_cause(self, subject: str) -> bool:
        """As `wake`, with all calls that wait for the same upstream to be paid."""
        waiting = self._progress.waiting.get(subject)
        woken = self.wake(subject)
        if woken and waiting is not None and waiting.type == ErrorType.UPSTREAM_OUT_OF_FUNDS:
            self.wake_unpaid(waiting.upstream or "")
        return woken

    def _is_parked(self, agent: str) -> bool:
        return any(parked.agent == agent for parked in self._parked.values())

    def _waiting(
        self,
        subject: str,
        caller: Caller,
        account: AgentAccount,
        failure: Failure,
        *,
        is_tool: bool,
    ) -> Waiting:
        now = workflow.now()
        return Waiting(
            subject=subject,
            agent=account.agent,
            reason=_reason(account.agent, failure),
            type=failure.type,
            required_usd=failure.required_usd,
            remaining_usd=failure.remaining_usd,
            command=wake_command(
                self._progress.workflow_id, subject, account, failure, now, is_tool=is_tool
            ),
            since=now,
            until=now + timedelta(seconds=caller.park_timeout_seconds),
            **({"upstream": failure.upstream} if failure.upstream else {}),
        )


def _reason(agent: str, failure: Failure) -> str:
    if failure.type == ErrorType.UPSTREAM_OUT_OF_FUNDS:
        agent = f"upstream {failure.upstream}" if failure.upstream else "the upstream"
    if failure.type == ErrorType.EFFECT_UNKNOWN:
        choices = (
            "look whether it happened, then answer retry, skip, or result with what it would have"
            " returned"
        )
        return f"{agent}: {failure.message[:800]} ({choices})"[:1000]
    return f"{agent}: {failure.message}"[:1000]


def _left(waiting: Waiting, caller: Caller) -> timedelta:
    if waiting.until is None:
        return timedelta(seconds=caller.park_timeout_seconds)
    return time_left(waiting.until)


def _timed_out(caller: Caller, failure: Failure) -> Exception:
    after = f"{caller.park_timeout_seconds:g} s"
    message = f"no one woke it within {after} after: {failure.message}"[:2000]
    expired = failure.model_copy(update={"message": message})
    return TaskSkipped(expired) if caller.on_park_timeout == "skip" else TaskFailed(expired)


def wake_command(
    run: str,
    subject: str,
    account: AgentAccount,
    failure: Failure,
    since: datetime,
    *,
    is_tool: bool = False,
) -> str:
    """The command that wakes a parked call: a higher limit where money is missing, `resume` where
    the operator has to pay the upstream, an answer where a program asks or a tool cannot be called,
    else a retry. Where an effect may have happened, the decision is left open: pasted as it is, the
    command changes nothing."""
    if failure.type == ErrorType.UPSTREAM_OUT_OF_FUNDS:
        return run_command("resume --unpaid-only", run)
    if failure.type == ErrorType.BUDGET_EXHAUSTED:
        missing = (failure.required_usd or Decimal(0)) - (failure.remaining_usd or Decimal(0))
        enough = account.budget_usd + max(missing, Decimal(0))
        return budget_command(run, account.agent, enough)
    if failure.type == ErrorType.EFFECT_UNKNOWN:
        return answering_command("answer", run, subject, "DECISION", since=since)
    if is_tool:
        return answering_command("answer", run, subject, "retry", since=since)
    if failure.type == ErrorType.INPUT_REQUIRED:
        return answering_command("answer", run, subject, "result", "YOUR ANSWER", since=since)
    return answering_command("retry", run, subject, since=since)
