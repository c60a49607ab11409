"""What people outside may ask a run and tell it: the queries, signals and updates.

Every entry takes any payload and parses it inside (`workflows/messages.py`): a typed handler
would fail the workflow task forever on a missing or an additional argument.
"""

import asyncio
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from durable_agent_team.contracts.changes import AdjustAgent, AdjustRun, AgentAdjusted, RunAdjusted
from durable_agent_team.contracts.control import (
    AdjustBudget,
    Adjustment,
    Approve,
    BudgetAdjusted,
    Cancel,
    Empty,
    StateQuery,
    TaskAnswer,
    TaskCommand,
    Transfer,
    Transferred,
)
from durable_agent_team.contracts.names import STARTER
from durable_agent_team.contracts.run import RunState, RunStatus, Waiting
from durable_agent_team.contracts.spend import SpendReport
from durable_agent_team.contracts.team import Task
from workflows.activity_errors import refused
from workflows.commands import Commands
from workflows.messages import BadMessage, parse
from workflows.money.accounts import Accounts
from workflows.people.parking import Parking
from workflows.state.progress import Progress, is_terminal
from workflows.state.publisher import Publisher


class Steering:
    """The handlers of `Orchestrator`. Signals record what is wrong; updates answer with it."""

    def __init__(self) -> None:
        info = workflow.info()
        self._progress = Progress(info.workflow_id, info.start_time)
        self._accounts = Accounts(self._progress)
        self._publisher = Publisher(self._progress)
        self._parking = Parking(self._progress, self._publisher.changed)
        self._orders = Commands(self._progress, self._accounts, self._parking, self._publisher)
        self._story: asyncio.Task[None] | None = None
        self._to_approve: str | None = None
        """What waits for a word. The rest of what waits, waits for money, or to be tried again."""
        self._approval: Approve | None = None

    # What people outside may ask

    @workflow.query
    def spend(self, payload: Any = None, *extra: Any) -> SpendReport:
        """What every agent has, has spent and may still spend. USD."""
        return self._progress.spend()

    @workflow.query
    def state(self, payload: Any = None, *extra: Any) -> RunState:
        """Status, plan, what waits for whom, and which messages were refused.

        Payload: `StateQuery`.
        """
        try:
            return self._progress.state(parse(StateQuery, payload, extra).page)
        except BadMessage as bad:
            raise refused(str(bad)) from None

    # What people outside may tell it

    @workflow.signal
    def cancel(self, payload: Any = None, *extra: Any) -> None:
        """Stops starting work, stops what runs, keeps what is done, closes accounts, reports."""
        order = self._understood("cancel", Cancel, payload, extra)
        if order is None or is_terminal(self._progress.status):
            return
        self._progress.stop(order.reason or "cancelled by signal")
        if self._story is not None and not self._story.done():
            self._story.cancel()

    @workflow.signal
    def pause(self, payload: Any = None, *extra: Any) -> None:
        """No new call starts; what runs goes on."""
        if self._understood("pause", Empty, payload, extra):
            self._orders.pause(True)

    @workflow.signal
    def resume(self, payload: Any = None, *extra: Any) -> None:
        """Calls start again."""
        if self._understood("resume", Empty, payload, extra):
            self._orders.pause(False)

    @workflow.signal
    async def adjust(self, payload: Any = None, *extra: Any) -> None:
        """An update without an answer: `kind` names it. A bad one is recorded in `state`."""
        adjustment = self._understood("adjust", Adjustment, payload, extra)
        if adjustment is None:
            return
        try:
            await self._orders.follow(adjustment.root)
        except ApplicationError as problem:
            self._progress.refuse(workflow.now(), "adjust", problem.message)
        finally:
            self._publisher.changed()

    @workflow.update
    async def adjust_budget(self, payload: Any = None, *extra: Any) -> BudgetAdjusted:
        """A new limit for one agent, effective at the gateway at once.

        Payload: `AdjustBudget`. Refused below what is spent, or where the
        agents' limits together would exceed the team's.
        """
        return await self._orders.adjust_budget(parse(AdjustBudget, payload, extra))

    @adjust_budget.validator
    def _check_adjust_budget(self, payload: Any = None, *extra: Any) -> None:
        self._orders.check(_parse_update(AdjustBudget, payload, extra))

    @workflow.update
    async def transfer(self, payload: Any = None, *extra: Any) -> Transferred:
        """Moves unspent money from one agent's limit to another's: both or neither.

        Payload: `Transfer`.
        """
        return await self._orders.transfer(parse(Transfer, payload, extra))

    @transfer.validator
    def _check_transfer(self, payload: Any = None, *extra: Any) -> None:
        self._orders.check(_parse_update(Transfer, payload, extra))

    @workflow.update
    async def adjust_agent(self, payload: Any = None, *extra: Any) -> AgentAdjusted:
        """Other settings for one agent's calls that have not started.

        Payload: `AdjustAgent`. Another model or other instructions wake what is
        parked for the agent. Refused where the model has no price.
        """
        return await self._orders.adjust_agent(parse(AdjustAgent, payload, extra))

    @adjust_agent.validator
    def _check_adjust_agent(self, payload: Any = None, *extra: Any) -> None:
        self._orders.check(_parse_update(AdjustAgent, payload, extra))

    @workflow.update
    async def adjust_run(self, payload: Any = None, *extra: Any) -> RunAdjusted:
        """Other limits for the whole run. Payload: `AdjustRun`.

        Refused for a deadline that is past, and below the sum of the agents' limits.
        """
        return await self._orders.adjust_run(parse(AdjustRun, payload, extra))

    @adjust_run.validator
    def _check_adjust_run(self, payload: Any = None, *extra: Any) -> None:
        self._orders.check(_parse_update(AdjustRun, payload, extra))

    @workflow.update
    async def add_task(self, payload: Any = None, *extra: Any) -> TaskAnswer:
        """One more task, while the run works. Payload: `Task`."""
        return self._orders.add_task(parse(Task, payload, extra))

    @add_task.validator
    def _check_add_task(self, payload: Any = None, *extra: Any) -> None:
        self._orders.check(_parse_update(Task, payload, extra))

    @workflow.update
    async def retry_task(self, payload: Any = None, *extra: Any) -> TaskAnswer:
        """Wakes what is parked, or starts a failed task anew. Payload: `TaskCommand`."""
        return self._orders.retry_task(parse(TaskCommand, payload, extra))

    @retry_task.validator
    def _check_retry_task(self, payload: Any = None, *extra: Any) -> None:
        _parse_update(TaskCommand, payload, extra)

    @workflow.update
    async def cancel_task(self, payload: Any = None, *extra: Any) -> TaskAnswer:
        """Stops one task; dependants that accept missing inputs go on. Payload: `TaskCommand`."""
        return self._orders.cancel_task(parse(TaskCommand, payload, extra))

    @cancel_task.validator
    def _check_cancel_task(self, payload: Any = None, *extra: Any) -> None:
        _parse_update(TaskCommand, payload, extra)

    @workflow.update
    async def approve(self, payload: Any = None, *extra: Any) -> Approve:
        """Answers what waits for approval. Payload: `Approve`."""
        order = parse(Approve, payload, extra)
        self._progress.waiting.pop(order.subject, None)
        self._to_approve, self._approval = None, order
        return order

    @approve.validator
    def _check_approve(self, payload: Any = None, *extra: Any) -> None:
        order = _parse_update(Approve, payload, extra)
        waiting = self._progress.waiting.get(order.subject)
        if waiting is None:
            raise refused(
                f"subject = {order.subject!r}: nothing of this name waits for a person"
                f" (waiting: {', '.join(self._progress.waiting) or 'nothing'})"
            )
        if order.subject != self._to_approve:
            raise refused(
                f"subject = {order.subject!r}: no approval makes it go on; `{waiting.command}` does"
            )

    def _understood(self, name: str, model: Any, payload: Any, extra: tuple[Any, ...]) -> Any:
        """The payload of a signal, or None: then what is wrong with it stands in `state`."""
        self._publisher.changed()
        try:
            return parse(model, payload, extra)
        except BadMessage as bad:
            self._progress.refuse(workflow.now(), name, str(bad))
            return None

    async def _wait_for_approval(self, subject: str) -> None:
        """Durably, until a person says yes; a no cancels the run."""
        self._become(RunStatus.APPROVAL)
        self._to_approve = subject
        command = f"{STARTER} approve {self._progress.workflow_id} {subject}"
        reason = f"the {subject} waits for approval"
        self._progress.ask(
            Waiting(subject=subject, reason=reason, command=command, since=workflow.now())
        )
        await workflow.wait_condition(lambda: self._approval is not None or self._progress.stopping)
        answer, self._approval = self._approval, None
        if answer is not None and not answer.approved:
            self._progress.stop(f"the {subject} was refused: {answer.note}".rstrip(": "))

    def _become(self, status: RunStatus) -> None:
        self._progress.status = status
        self._publisher.changed()


def _parse_update(model: Any, payload: Any, extra: tuple[Any, ...]) -> Any:
    try:
        return parse(model, payload, extra)
    except BadMessage as bad:
        raise refused(str(bad)) from None
