"""What people tell a run, carried out. The handlers, which take any payload: `steering.py`."""

from pydantic import BaseModel
from temporalio import workflow

from durable_agent_team.contracts.changes import AdjustAgent, AdjustRun, AgentAdjusted, RunAdjusted
from durable_agent_team.contracts.control import (
    AddTaskSignal,
    AdjustBudget,
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
from workflows.activity_errors import refused
from workflows.money.accounts import Accounts
from workflows.people.adjustments import (
    agent_now,
    change_agent,
    change_limits,
    limits_now,
    must_allow_limits,
    must_be_priced,
)
from workflows.people.deadline import Deadline
from workflows.people.parking import Parking
from workflows.plans.additions import addition_problems, closed_to_tasks
from workflows.state.progress import Progress, is_terminal
from workflows.state.publisher import Publisher
from workflows.tasks.paid_call import PaidCalls
from workflows.tasks.runner import TaskRunner


class Commands:
    """Each one answers with what is in force now, or raises ApplicationError, and then nothing has
    changed. `calls` and `work` are there once the run has come so far."""

    def __init__(
        self, progress: Progress, accounts: Accounts, parking: Parking, publisher: Publisher
    ) -> None:
        self._progress = progress
        self._accounts = accounts
        self._parking = parking
        self._publisher = publisher
        self.deadline = Deadline(progress, self._let_go)
        self.calls: PaidCalls | None = None
        self.work: TaskRunner | None = None

    def check(self, order: BaseModel) -> None:
        """Refuses what can be seen to be wrong before the order is accepted."""
        match order:
            case AdjustBudget() if self._progress.accounts:
                self._accounts.must_allow(order)
            case Transfer() if self._progress.accounts:
                self._accounts.must_allow_transfer(order)
            case AdjustAgent() if self._progress.accounts:
                self._must_allow_agent(order)
            case AdjustRun():
                must_allow_limits(self._progress, order, workflow.now())
            case Task():
                self._must_fit_in(order)

    async def follow(self, order: BaseModel) -> None:
        """The order of a signal: `kind` named it."""
        match order:
            case AdjustBudget():
                await self.adjust_budget(order)
            case Transfer():
                await self.transfer(order)
            case AdjustAgent():
                await self.adjust_agent(order)
            case AdjustRun():
                await self.adjust_run(order)
            case AddTaskSignal():
                self.add_task(order.task)
            case RetryTaskSignal():
                self.retry_task(order)
            case CancelTaskSignal():
                self.cancel_task(order)

    async def adjust_budget(self, order: AdjustBudget) -> BudgetAdjusted:
        await self._accounts_open()
        adjusted = await self._accounts.adjust(order)
        self._wake(order.agent)
        return adjusted

    async def transfer(self, order: Transfer) -> Transferred:
        await self._accounts_open()
        transferred = await self._accounts.transfer(order)
        self._wake(order.to_agent)
        return transferred

    async def adjust_agent(self, order: AdjustAgent) -> AgentAdjusted:
        await self._accounts_open()
        self._must_allow_agent(order)
        if change_agent(self._progress, order):
            self._wake(order.agent)
        self._publisher.changed()
        return agent_now(self._progress, order.agent)

    async def adjust_run(self, order: AdjustRun) -> RunAdjusted:
        if order.budget_usd is None:
            return self._limit(order)
        await self._accounts_open()
        async with self._accounts.limits:
            return self._limit(order)

    def _limit(self, order: AdjustRun) -> RunAdjusted:
        self._must_not_have_ended()
        must_allow_limits(self._progress, order, workflow.now())
        change_limits(self._progress, order)
        if order.max_parallel is not None and self.calls is not None:
            self.calls.gate.resize(order.max_parallel)
        if "deadline" in order.model_fields_set:
            self.deadline.set(order.deadline)
        self._publisher.changed()
        return limits_now(self._progress)

    def add_task(self, task: Task) -> TaskAnswer:
        self._must_fit_in(task)
        self._working().add(task)
        return self._task_answer(task.id)

    def retry_task(self, order: TaskCommand) -> TaskAnswer:
        if not self._parking.wake(order.task):
            self._working().retry(order.task)
        return self._task_answer(order.task)

    def cancel_task(self, order: TaskCommand) -> TaskAnswer:
        self._working().cancel(order.task, order.reason)
        return self._task_answer(order.task)

    def pause(self, paused: bool) -> None:
        self._progress.paused = paused
        if self.calls is not None:
            self.calls.gate.pause(paused)
        self._publisher.changed()

    def _must_allow_agent(self, order: AdjustAgent) -> None:
        self._accounts.known(order.agent)
        if order.model is not None:
            must_be_priced(self._progress.catalog, order.model)

    def _must_fit_in(self, task: Task) -> None:
        works = self.work is not None and self.work.goes_on
        closed = closed_to_tasks(self._progress, works)
        if closed is not None:
            raise refused(closed)
        problems = addition_problems(self._progress, task)
        if problems:
            raise refused("; ".join(map(str, problems))[:2000])

    def _working(self) -> TaskRunner:
        if self.work is None:
            raise refused("the run has no tasks yet")
        return self.work

    def _task_answer(self, task: str) -> TaskAnswer:
        status = self._progress.schedule.status.get(task)
        return TaskAnswer(task=task, status=str(status or "woken"))

    async def _accounts_open(self) -> None:
        """Without a step in between where they are: what was told next must find it carried out."""
        if not self._accounts.refs:
            await workflow.wait_condition(lambda: bool(self._accounts.refs) or self._is_ending())
        self._must_not_have_ended()

    def _must_not_have_ended(self) -> None:
        if self._is_ending() or self._progress.request is None:
            raise refused("the run has ended")

    def _is_ending(self) -> bool:
        return self._progress.status is RunStatus.CLOSING or is_terminal(self._progress.status)

    def _wake(self, agent: str) -> None:
        """There may be money again: for what is parked, and for what waits for others' calls."""
        self._parking.wake_agent(agent)
        if self.calls is not None:
            self.calls.gate.release(agent)
        self._publisher.changed()

    def _let_go(self) -> None:
        """Nothing new starts: what waits for anything ends, and what runs goes on to its end."""
        self._parking.wake_all()
        if self.calls is not None:
            self.calls.gate.stop()
        self._publisher.changed()
