"""Carries out what operators send to a run. The handlers, which take any payload: `handlers.py`."""

import asyncio

from temporalio import workflow
from temporalio.exceptions import ActivityError

from durable_agent_team.contracts.activity_interfaces import AgentActivities
from durable_agent_team.contracts.arguments_check import ArgumentsCheck
from durable_agent_team.contracts.changes import AdjustAgent, AdjustRun, AgentAdjusted, RunAdjusted
from durable_agent_team.contracts.control import (
    AddTaskSignal,
    AdjustBudget,
    Adjustment,
    AnswerTask,
    AnswerTaskSignal,
    Approve,
    ApproveSignal,
    BudgetAdjusted,
    CancelTaskSignal,
    RetryTaskSignal,
    TaskAnswer,
    TaskCommand,
    Transfer,
    Transferred,
)
from durable_agent_team.contracts.run import RunStatus
from durable_agent_team.contracts.team import Task
from durable_agent_team.rules.catalog import caller_of, price_of
from workflows.activity_errors import refused
from workflows.money.limits import account_of
from workflows.people.adjustments import (
    agent_now,
    apply_limits,
    apply_to_agent,
    check_chats,
    check_limits,
    check_priced,
    limits_now,
)
from workflows.people.answers import give_answer
from workflows.people.approval import check_since
from workflows.plans.additions import addition_problems, check_output, closed_to_tasks
from workflows.policies import output_check_options
from workflows.run import Run
from workflows.state.progress import is_terminal
from workflows.task_exceptions import TaskFailed
from workflows.tasks.runner import TaskRunner

MAX_AGAIN = 50
"""Tasks that the answer of a retry names: it stays small."""


class Commands:
    """Each command returns what is in force now, or changes nothing and raises ApplicationError."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._progress = run.progress
        self._adding = asyncio.Lock()

    def check(self, command: AdjustBudget | Transfer | AdjustAgent | AdjustRun | Task) -> None:
        """Refuses, before an update is accepted, what is known to be wrong already."""
        match command:
            case AdjustBudget() if self._progress.accounts:
                self._run.limits.check_adjust(command)
            case Transfer() if self._progress.accounts:
                self._run.limits.check_transfer(command)
            case AdjustAgent() if self._progress.accounts:
                self._check_agent(command, looked_up=False)
            case AdjustRun():
                check_limits(self._progress, command, workflow.now())
            case Task():
                self._check_task(command)

    async def taken_up(self) -> None:
        """Where the run has just continued as new: until its calls, and what is parked, can be
        reached again. Otherwise it does not yield."""
        if not self._run.is_taken_up:
            await workflow.wait_condition(lambda: self._run.is_taken_up or self._is_ending())

    async def execute(self, adjustment: Adjustment) -> None:
        """The command that the signal `adjust` carries, without its result."""
        await self.taken_up()
        match adjustment.root:
            case AdjustBudget() as command:
                await self.adjust_budget(command)
            case Transfer() as command:
                await self.transfer(command)
            case AdjustAgent() as command:
                await self.adjust_agent(command)
            case AdjustRun() as command:
                await self.adjust_run(command)
            case AddTaskSignal() as command:
                await self.add_task(command.task)
            case ApproveSignal() as command:
                await self.approve(command)
            case RetryTaskSignal() as command:
                self.retry_task(command)
            case CancelTaskSignal() as command:
                self.cancel_task(command)
            case AnswerTaskSignal() as command:
                self.answer(command)

    async def adjust_budget(self, command: AdjustBudget) -> BudgetAdjusted:
        await self._accounts_open()
        with self._run.parking.help.begun(command.agent):
            adjusted = await self._run.limits.adjust(command)
            self._run.wake_paid(command.agent)
            return adjusted

    async def transfer(self, command: Transfer) -> Transferred:
        await self._accounts_open()
        with self._run.parking.help.begun(command.to_agent):
            transferred = await self._run.limits.transfer(command)
            self._run.wake_paid(command.to_agent)
            return transferred

    async def adjust_agent(self, command: AdjustAgent) -> AgentAdjusted:
        await self._accounts_open()
        with self._run.parking.help.begun(command.agent):
            await self._look_up(command.model)
            self._check_agent(command)
            if apply_to_agent(self._progress, command):
                self._run.wake_changed(command.agent)
                self._run.attempt_again(command.agent)
        self._progress.changed()
        return agent_now(self._progress, command.agent)

    async def adjust_run(self, command: AdjustRun) -> RunAdjusted:
        await self.taken_up()
        if command.budget_usd is None:
            return self._apply_limits(command)
        await self._accounts_open()
        async with self._run.limits.lock:
            return self._apply_limits(command)

    def _apply_limits(self, command: AdjustRun) -> RunAdjusted:
        self._raise_if_ended()
        check_limits(self._progress, command, workflow.now())
        apply_limits(self._progress, command)
        if command.max_parallel is not None and self._run.answers is not None:
            self._run.answers.gate.resize(command.max_parallel)
        if "deadline" in command.model_fields_set:
            self._run.deadline.set(command.deadline)
        self._progress.changed()
        return limits_now(self._progress)

    async def add_task(self, task: Task) -> TaskAnswer:
        """One after the other: a task may depend on one whose schema is still being checked."""
        await self.taken_up()
        async with self._adding:
            self._check_task(task)
            if isinstance(task.output, dict):
                await check_output(self._run.activities, task)
                self._check_task(task)  # the run has continued in the meantime
            return self._add_task(task)

    def _add_task(self, task: Task) -> TaskAnswer:
        self._runner().add(task)
        return self._task_answer(task.id)

    async def approve(self, command: Approve) -> Approve:
        """Answers what waits for approval. Edited arguments are checked against the tool's schema
        first, which takes an activity."""
        await self.taken_up()
        approval = self._run.approval
        approval.check(command)
        if command.arguments is None:
            return approval.give(command)
        with approval.edits.begun(command.subject):
            await self._check_arguments(await approval.arguments_check(command), command.subject)
            approval.check(command)  # the run has continued in the meantime
            return approval.give(command)

    async def _check_arguments(self, check: ArgumentsCheck, subject: str) -> None:
        try:
            verdict = await self._run.activities.execute_uncounted(
                AgentActivities.check_arguments,
                check,
                output_check_options(),
                summary=f"{subject} · check its arguments",
            )
        except ActivityError:
            raise refused("arguments: they could not be checked in time; try again") from None
        if verdict.problem:
            raise refused(f"arguments: {verdict.problem}"[:2000])

    def retry_task(self, command: TaskCommand) -> TaskAnswer:
        check_since(self._progress, command.task, command)
        if self._run.parking.needs_answer(command.task):
            raise refused(
                f"task = {command.task!r}: it may have run; answer it with retry, skip, or result"
            )
        again: list[str] = []
        if not self._run.wake_task(command.task):
            again = self._runner().retry(command.task)
        answer = self._task_answer(command.task)
        if not again:
            return answer
        shown = tuple(again[:MAX_AGAIN])
        return answer.model_copy(update={"again": shown, "again_total": len(again)})

    def answer(self, command: AnswerTask) -> TaskAnswer:
        """What a person says to a call of a tool, or to a program, that is parked for it."""
        check_since(self._progress, command.task, command)
        cut = give_answer(self._progress, command)
        self._run.wake_task(command.task)
        return self._task_answer(command.task).model_copy(update=cut)

    def cancel_task(self, command: TaskCommand) -> TaskAnswer:
        check_since(self._progress, command.task, command)
        self._runner().cancel(command.task, command.reason)
        return self._task_answer(command.task)

    def _check_agent(self, command: AdjustAgent, *, looked_up: bool = True) -> None:
        account_of(self._progress, command.agent)
        if command.model is not None:
            catalog = self._progress.catalog
            check_priced(catalog, command.model, looked_up=looked_up)
            check_chats(catalog, command.model, caller_of(self._progress.team, command.agent))

    async def _look_up(self, model: str | None) -> None:
        """Asks the gateway for a model that a partial catalog does not have."""
        catalog = self._progress.catalog
        if model is None or not catalog.partial or price_of(catalog, model) is not None:
            return
        try:
            await self._run.accounts.look_up(model)
        except TaskFailed as failed:
            raise refused(f"model = {model!r}: {failed.failure.message}"[:2000]) from None
        if self._run.answers is not None:
            self._run.answers.use_catalog(self._progress.catalog)

    def _check_task(self, task: Task) -> None:
        closed = closed_to_tasks(self._progress, self._run.takes_tasks)
        if closed is not None:
            raise refused(closed)
        problems = addition_problems(self._progress, task)
        if problems:
            raise refused("; ".join(map(str, problems))[:2000])

    def _runner(self) -> TaskRunner:
        if self._run.runner is None:
            raise refused("the run has no tasks yet")
        return self._run.runner

    def _task_answer(self, task: str) -> TaskAnswer:
        status = self._progress.tasks.schedule.status.get(task)
        return TaskAnswer(task=task, status=str(status or "woken"))

    async def _accounts_open(self) -> None:
        """Waits until the accounts are open. Where they are, it does not yield: a message that
        arrives later must find this one carried out."""
        await self.taken_up()
        if not self._progress.account_refs:
            await workflow.wait_condition(
                lambda: bool(self._progress.account_refs) or self._is_ending()
            )
        self._raise_if_ended()

    def _raise_if_ended(self) -> None:
        if self._is_ending() or self._progress.request is None:
            raise refused("the run has ended")

    def _is_ending(self) -> bool:
        return self._progress.status is RunStatus.CLOSING or is_terminal(self._progress.status)
