"""What a person may tell a run: signals, which need no worker, and updates, which are answered."""

import asyncio
from collections.abc import Awaitable
from datetime import datetime, timedelta
from typing import Any, TypedDict, TypeVar, Unpack

from temporalio.client import (
    Client,
    WorkflowExecutionDescription,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
    WorkflowUpdateStage,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from durable_agent_team.client.exceptions import (
    NotConfirmed,
    NoWorker,
    RunNotFound,
    UpdateRefused,
    translated,
)
from durable_agent_team.contracts import names
from durable_agent_team.contracts.base import Message, Usd
from durable_agent_team.contracts.changes import AdjustAgent, AdjustRun, AgentAdjusted, RunAdjusted
from durable_agent_team.contracts.control import (
    AdjustBudget,
    Approve,
    BudgetAdjusted,
    Cancel,
    Empty,
    TaskAnswer,
    TaskCommand,
    Transfer,
    Transferred,
)
from durable_agent_team.contracts.team import Task

ANSWER_TIMEOUT = timedelta(seconds=4)
"""For a query; less than one more second finds out who did not answer: five in all."""
PROBE_TIMEOUT = timedelta(seconds=0.8)
CALL_TIMEOUT = timedelta(seconds=5)
UPDATE_TIMEOUT = timedelta(seconds=30)
"""From acceptance to answer: a new limit is set at the gateway in between."""

Answer = TypeVar("Answer", bound=Message)
T = TypeVar("T")


class AgentChanges(TypedDict, total=False):
    """What is left out stays as it is."""

    model: str
    max_attempts: int
    timeout_seconds: float
    instructions: str


class RunChanges(TypedDict, total=False):
    """What is left out stays as it is; a `deadline` of None takes it away."""

    max_parallel: int
    deadline: datetime | None
    budget_usd: Usd


async def within(timeout: timedelta, work: Awaitable[T]) -> T:
    """Bounds all attempts of a call together: the client tries one that timed out again."""
    async with asyncio.timeout(timeout.total_seconds()):
        return await work


class RunSteering:
    """The half of a handle that changes a run.

    Signals (`cancel`, `pause`, `resume`) return when the service has them. Updates return the
    run's answer; they raise `UpdateRefused` with the run's reason, and `NoWorker` (then they may
    still take effect once a worker is back; `NotConfirmed`: once the account provider answers).
    All raise `RunNotFound`, `RunClosed`, `ServiceUnavailable`.
    """

    def __init__(self, client: Client, id: str) -> None:
        self.id = id
        self._client = client
        self._handle = client.get_workflow_handle(id)

    async def cancel(self, reason: str = "") -> None:
        """Asks the run to stop; its accounts are closed and it reports."""
        await self._signal("cancel", Cancel(reason=reason))

    async def pause(self) -> None:
        """No new call starts; those in flight go on."""
        await self._signal("pause", Empty())

    async def resume(self) -> None:
        """Calls start again."""
        await self._signal("resume", Empty())

    async def adjust_budget(self, agent: str, usd: Usd) -> BudgetAdjusted:
        """A new limit, in force at the gateway when this returns. Wakes what waits for money."""
        order = AdjustBudget(agent=agent, budget_usd=usd)
        return await self._update("adjust_budget", order, BudgetAdjusted, "the new budget")

    async def transfer(self, source: str, target: str, usd: Usd) -> Transferred:
        """Moves unspent money from one agent's limit to another's: both change, or neither."""
        order = Transfer(from_agent=source, to_agent=target, amount_usd=usd)
        return await self._update("transfer", order, Transferred, "the transfer")

    async def adjust_agent(self, agent: str, **changes: Unpack[AgentChanges]) -> AgentAdjusted:
        """Other settings for the calls that have not started; `orchestrator` is an agent too."""
        order = AdjustAgent(agent=agent, **changes)
        return await self._update("adjust_agent", order, AgentAdjusted, "the agent's settings")

    async def adjust_run(self, **changes: Unpack[RunChanges]) -> RunAdjusted:
        """Other limits for the whole run, for what has not started."""
        return await self._update("adjust_run", AdjustRun(**changes), RunAdjusted, "the limits")

    async def add_task(self, task: Task) -> TaskAnswer:
        """One more task, while the run works; it starts at once if its dependencies are done."""
        return await self._update("add_task", task, TaskAnswer, "the task")

    async def retry_task(self, task: str) -> TaskAnswer:
        """Wakes what is parked, or starts a failed task anew while the run still works."""
        return await self._update("retry_task", TaskCommand(task=task), TaskAnswer, "the retry")

    async def cancel_task(self, task: str, reason: str = "") -> TaskAnswer:
        """Stops one task; dependants that accept missing inputs go on."""
        order = TaskCommand(task=task, reason=reason)
        return await self._update("cancel_task", order, TaskAnswer, "the task's end")

    async def approve(self, subject: str, approved: bool = True, note: str = "") -> Approve:
        """Answers what waits for approval; `state` shows it. A no cancels the run."""
        order = Approve(subject=subject, approved=approved, note=note)
        return await self._update("approve", order, Approve, "the approval")

    async def _signal(self, name: str, payload: Message) -> None:
        with translated(self.id):
            await self._must_be_ours(CALL_TIMEOUT)
            sending = self._handle.signal(name, payload, rpc_timeout=CALL_TIMEOUT)
            await within(CALL_TIMEOUT, sending)

    async def _update(self, name: str, order: Message, kind: type[Answer], what: str) -> Answer:
        taken = False
        with translated(self.id):
            try:
                sending = self._handle.start_update(
                    name,
                    order,
                    wait_for_stage=WorkflowUpdateStage.ACCEPTED,
                    result_type=kind,
                    rpc_timeout=ANSWER_TIMEOUT,
                )
                update: Any = await within(ANSWER_TIMEOUT, sending)
                taken = True
                answer: Answer = await within(
                    UPDATE_TIMEOUT, update.result(rpc_timeout=UPDATE_TIMEOUT)
                )
                return answer
            except WorkflowUpdateFailedError as error:
                raise UpdateRefused(_message(error.cause)) from error
            except (WorkflowUpdateRPCTimeoutOrCancelledError, TimeoutError) as error:
                if (task := asyncio.current_task()) and task.cancelling():
                    raise asyncio.CancelledError from error  # the client hides a Ctrl-C so
                await self._probe()
                if taken and await self._has_worker():
                    raise NotConfirmed(self.id, what) from error
                raise NoWorker(
                    self.id, f"no worker confirmed {what}; it may still take effect"
                ) from error

    async def _probe(self) -> None:
        """Silence: is it the service, or the run's worker? Raises if it is the service."""
        await self._must_be_ours(PROBE_TIMEOUT)

    async def _has_worker(self) -> bool:
        try:
            await within(PROBE_TIMEOUT, self._handle.query("spend", rpc_timeout=PROBE_TIMEOUT))
        except (RPCError, TimeoutError):
            return False
        return True

    async def _must_be_ours(self, timeout: timedelta) -> WorkflowExecutionDescription:
        """Any workflow takes a signal of any name, and might understand another thing by it."""
        found = await within(timeout, self._handle.describe(rpc_timeout=timeout))
        if found.workflow_type != names.WORKFLOW:
            raise RunNotFound(self.id, f"this is a workflow of type `{found.workflow_type}`")
        return found


def _message(error: BaseException) -> str:
    return error.message if isinstance(error, ApplicationError) else str(error)
