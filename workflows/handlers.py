"""The queries, signals and updates of a run.

Every handler takes any payload and parses it inside (`messages.py`): a typed handler would fail the
workflow task forever on a missing or an additional argument.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import BaseModel
from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from durable_agent_team.contracts.approvals import ApprovalsPage, ApprovalsQuery
from durable_agent_team.contracts.changes import AdjustAgent, AdjustRun, AgentAdjusted, RunAdjusted
from durable_agent_team.contracts.control import (
    AdjustBudget,
    Adjustment,
    AnswerTask,
    Approve,
    BudgetAdjusted,
    Cancel,
    Empty,
    Resume,
    SpendQuery,
    StateQuery,
    TaskAnswer,
    TaskCommand,
    Transfer,
    Transferred,
)
from durable_agent_team.contracts.conversation_view import ConversationPage, ConversationQuery
from durable_agent_team.contracts.program import SPEND_SIGNAL, ProgramSpend
from durable_agent_team.contracts.run import RunState
from durable_agent_team.contracts.spend import SpendReport
from durable_agent_team.contracts.team import Task
from workflows.activity_errors import refused
from workflows.commands import Commands
from workflows.messages import BadMessage, no_such_signal, parse
from workflows.run import Run
from workflows.state.approvals_page import approvals_page
from workflows.state.conversation_page import conversation_page
from workflows.state.progress import Progress
from workflows.state.reports import run_state, spend_page

M = TypeVar("M", bound=BaseModel)


class Handlers:
    """The handlers of `Orchestrator`, which Temporal wants on the workflow's own class.

    They parse, and pass on to the run or its commands. A bad signal is recorded in `state`; a bad
    update or query is refused with an error.
    """

    def __init__(self, progress: Progress) -> None:
        self._run = Run(progress)
        self._commands = Commands(self._run)

    @workflow.query
    def spend(self, payload: Any = None, *extra: Any) -> SpendReport:
        """What every agent has, has spent and may still spend. USD.

        Payload: `SpendQuery`; without a `page` it is ignored, and the answer is page 1.
        """
        paged = isinstance(payload, dict) and "page" in payload
        try:
            page = parse(SpendQuery, payload, extra).page if paged else 1
        except BadMessage as bad:
            raise refused(str(bad)) from None
        return spend_page(self._run.progress, page)

    @workflow.query
    def state(self, payload: Any = None, *extra: Any) -> RunState:
        """Status, plan, what waits for whom, and which messages were refused.

        Payload: `StateQuery`.
        """
        try:
            return run_state(self._run.progress, parse(StateQuery, payload, extra).page)
        except BadMessage as bad:
            raise refused(str(bad)) from None

    @workflow.query
    def approvals(self, payload: Any = None, *extra: Any) -> ApprovalsPage:
        """What waits for a person's approval, in full. Payload: `ApprovalsQuery`."""
        try:
            return approvals_page(self._run.progress, parse(ApprovalsQuery, payload, extra))
        except BadMessage as bad:
            raise refused(str(bad)) from None

    @workflow.query
    def conversation(self, payload: Any = None, *extra: Any) -> ConversationPage:
        """The turns of a task whose agent has tools, and how each call stands, until the task has
        its answer; the history has all of it. Payload: `ConversationQuery`."""
        try:
            return conversation_page(self._run.progress, parse(ConversationQuery, payload, extra))
        except BadMessage as bad:
            raise refused(str(bad)) from None

    @workflow.signal(description='{"reason": "…"}: ends the run, and keeps what is done')
    def cancel(self, payload: Any = None, *extra: Any) -> None:
        """Stops starting work, stops what runs, keeps what is done, closes accounts, reports."""
        command = self._parse_signal("cancel", Cancel, payload, extra)
        if command is not None:
            self._run.cancel(command.reason or "cancelled by signal")

    @workflow.signal(description="{}: no new call starts")
    def pause(self, payload: Any = None, *extra: Any) -> None:
        """No new call starts; calls in flight continue."""
        if self._parse_signal("pause", Empty, payload, extra):
            self._run.pause(True)

    @workflow.signal(description="{}: calls start again")
    def resume(self, payload: Any = None, *extra: Any) -> None:
        """Calls start again, and so do those that wait for an upstream to be paid. Payload:
        `Resume`."""
        command = self._parse_signal("resume", Resume, payload, extra)
        if command is None:
            return
        if not command.unpaid_only:
            self._run.pause(False)
        self._run.wake_unpaid()

    @workflow.signal(description="Sent by the worker, not by people")
    def program_spend(self, payload: Any = None, *extra: Any) -> None:
        """What a program has cost so far: sent by its activity. Payload: `ProgramSpend`."""
        spend = self._parse_signal(SPEND_SIGNAL, ProgramSpend, payload, extra)
        if spend is not None:
            self._run.progress.show_program(spend)

    @workflow.signal(description='{"kind": "approve", …}: an update without an answer')
    async def adjust(self, payload: Any = None, *extra: Any) -> None:
        """An update without an answer: `kind` names it. A bad one is recorded in `state`."""
        adjustment = self._parse_signal("adjust", Adjustment, payload, extra)
        if adjustment is None:
            return
        try:
            await self._commands.execute(adjustment)
        except ApplicationError as problem:
            self._run.progress.refuse(workflow.now(), "adjust", problem.message)
        finally:
            self._run.progress.changed()

    @workflow.signal(dynamic=True, description="Another name is refused")
    def unknown(self, name: str, payloads: Sequence[RawValue]) -> None:
        """A signal of another name changes nothing. It is recorded in `state`: an update's name,
        sent as a signal, would otherwise be lost in silence."""
        self._run.progress.changed()
        self._run.progress.refuse(workflow.now(), name, no_such_signal(name))

    @workflow.update(description='{"agent", "budget_usd"}: a new limit')
    async def adjust_budget(self, payload: Any = None, *extra: Any) -> BudgetAdjusted:
        """A new limit for one agent, effective at the gateway at once.

        Payload: `AdjustBudget`. Refused below what is spent, or where the
        agents' limits together would exceed the team's.
        """
        return await self._commands.adjust_budget(parse(AdjustBudget, payload, extra))

    @adjust_budget.validator
    def _check_adjust_budget(self, payload: Any = None, *extra: Any) -> None:
        self._commands.check(_parse_update(AdjustBudget, payload, extra))

    @workflow.update(description='{"from_agent", "to_agent", "amount_usd"}')
    async def transfer(self, payload: Any = None, *extra: Any) -> Transferred:
        """Moves unspent money from one agent's limit to another's: both or neither.

        Payload: `Transfer`.
        """
        return await self._commands.transfer(parse(Transfer, payload, extra))

    @transfer.validator
    def _check_transfer(self, payload: Any = None, *extra: Any) -> None:
        self._commands.check(_parse_update(Transfer, payload, extra))

    @workflow.update(description='{"agent", "model", …}: new settings')
    async def adjust_agent(self, payload: Any = None, *extra: Any) -> AgentAdjusted:
        """Other settings for one agent's calls that have not started.

        Payload: `AdjustAgent`. Another model or other instructions wake what is
        parked for the agent. Refused where the model has no price.
        """
        return await self._commands.adjust_agent(parse(AdjustAgent, payload, extra))

    @adjust_agent.validator
    def _check_adjust_agent(self, payload: Any = None, *extra: Any) -> None:
        self._commands.check(_parse_update(AdjustAgent, payload, extra))

    @workflow.update(description='{"max_parallel", "deadline", "budget_usd"}')
    async def adjust_run(self, payload: Any = None, *extra: Any) -> RunAdjusted:
        """Other limits for the whole run. Payload: `AdjustRun`.

        Refused for a deadline that is past, and below the sum of the agents' limits.
        """
        return await self._commands.adjust_run(parse(AdjustRun, payload, extra))

    @adjust_run.validator
    def _check_adjust_run(self, payload: Any = None, *extra: Any) -> None:
        self._commands.check(_parse_update(AdjustRun, payload, extra))

    @workflow.update(description='{"id", "agent", "ask", …}: one more task')
    async def add_task(self, payload: Any = None, *extra: Any) -> TaskAnswer:
        """One more task, while the run works. Payload: `Task`."""
        return await self._commands.add_task(parse(Task, payload, extra))

    @add_task.validator
    def _check_add_task(self, payload: Any = None, *extra: Any) -> None:
        self._commands.check(_parse_update(Task, payload, extra))

    @workflow.update(description='{"task"}: tried or done again')
    async def retry_task(self, payload: Any = None, *extra: Any) -> TaskAnswer:
        """Wakes what is parked, or starts a task again that has failed or is done.

        Payload: `TaskCommand`. With a task that is done, everything behind it is done again.
        """
        await self._commands.taken_up()
        return self._commands.retry_task(parse(TaskCommand, payload, extra))

    @retry_task.validator
    def _check_retry_task(self, payload: Any = None, *extra: Any) -> None:
        _parse_update(TaskCommand, payload, extra)

    @workflow.update(description='{"task", "reason"}: stopped')
    async def cancel_task(self, payload: Any = None, *extra: Any) -> TaskAnswer:
        """Stops one task; dependants that accept missing inputs continue.

        Payload: `TaskCommand`.
        """
        await self._commands.taken_up()
        return self._commands.cancel_task(parse(TaskCommand, payload, extra))

    @cancel_task.validator
    def _check_cancel_task(self, payload: Any = None, *extra: Any) -> None:
        _parse_update(TaskCommand, payload, extra)

    @workflow.update(description='{"task", "decision", "result"}: to what is parked')
    async def answer(self, payload: Any = None, *extra: Any) -> TaskAnswer:
        """Answers what is parked: a call of a tool or an effect of a program that may have
        happened, or a question of a remote agent. Payload: `AnswerTask`."""
        await self._commands.taken_up()
        return self._commands.answer(parse(AnswerTask, payload, extra))

    @answer.validator
    def _check_answer(self, payload: Any = None, *extra: Any) -> None:
        _parse_update(AnswerTask, payload, extra)

    @workflow.update(description='{"subject", "approved", "note"}: decides what waits')
    async def approve(self, payload: Any = None, *extra: Any) -> Approve:
        """Approves or rejects what waits for it; `arguments` are put in the place of a tool's.

        Payload: `Approve`. Refused where something else waits than the `sha256` names.
        """
        return await self._commands.approve(parse(Approve, payload, extra))

    @approve.validator
    def _check_approve(self, payload: Any = None, *extra: Any) -> None:
        self._run.approval.check(_parse_update(Approve, payload, extra))

    def _parse_signal(
        self, name: str, model: type[M], payload: Any, extra: tuple[Any, ...]
    ) -> M | None:
        """The payload of a signal; None where it is wrong, which is recorded in `state`."""
        self._run.progress.changed()
        try:
            return parse(model, payload, extra)
        except BadMessage as bad:
            self._run.progress.refuse(workflow.now(), name, str(bad))
            return None


def _parse_update(model: type[M], payload: Any, extra: tuple[Any, ...]) -> M:
    try:
        return parse(model, payload, extra)
    except BadMessage as bad:
        raise refused(str(bad)) from None
