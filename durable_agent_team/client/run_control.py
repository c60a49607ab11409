"""Signals and updates: signals need no worker; updates return the run's answer."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypedDict, TypeVar, Unpack

from pydantic import ValidationError
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import (
    Client,
    WorkflowExecutionDescription,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
    WorkflowUpdateStage,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from durable_agent_team.client.decider import decider
from durable_agent_team.client.exceptions import (
    NotConfirmed,
    NoWorker,
    RunError,
    RunNotFound,
    SentAsSignal,
    UpdateRefused,
    is_between_executions,
    is_out_of_updates,
    is_silence,
    silent,
    translated,
)
from durable_agent_team.contracts import names
from durable_agent_team.contracts.base import Message, Usd
from durable_agent_team.contracts.changes import AdjustAgent, AdjustRun, AgentAdjusted, RunAdjusted
from durable_agent_team.contracts.control import (
    AdjustBudget,
    AnswerTask,
    Approve,
    BudgetAdjusted,
    Cancel,
    Empty,
    Resume,
    TaskAnswer,
    TaskCommand,
    Transfer,
    Transferred,
)
from durable_agent_team.contracts.effects import EffectDecision
from durable_agent_team.contracts.run import Refusal, RunState
from durable_agent_team.contracts.team import Task
from durable_agent_team.rules.pydantic_messages import in_lines

ANSWER_TIMEOUT = timedelta(seconds=4)
"""For a query. A probe then finds out what did not answer."""
BUSY_TIMEOUT = timedelta(seconds=15)
"""In addition, where a worker has fetched work meanwhile: it lives, and is busy."""
PROBE_TIMEOUT = timedelta(seconds=3)
"""Temporal answered a moment ago, and mostly answers at once."""
CALL_TIMEOUT = timedelta(seconds=5)
UPDATE_TIMEOUT = timedelta(seconds=30)
"""From acceptance to answer: in between, the worker sets a new limit at the gateway."""

SIGNAL_LOOKS, SIGNAL_PAUSE = 5, 0.2
"""How often, and how many seconds apart, `state` is read for the refusal of a signal."""

SEAM_TRIES, SEAM_PAUSE = 8, 0.1
"""How often, and how many seconds apart, an update is sent to a run that is continuing as new."""

Answer = TypeVar("Answer", bound=Message)
Command = TypeVar("Command", bound=Message)
T = TypeVar("T")


class AgentChanges(TypedDict, total=False):
    """The settings to change; those left out stay as they are."""

    model: str
    max_attempts: int
    timeout_seconds: float
    instructions: str
    max_tokens: int


class RunChanges(TypedDict, total=False):
    """The limits to change; those left out stay as they are. A `deadline` of None removes it."""

    max_parallel: int
    deadline: datetime | None
    budget_usd: Usd


def _given(**fields: Any) -> dict[str, Any]:
    """The fields that are not None. The others are not sent: a worker of an earlier version may not
    know them."""
    return {name: value for name, value in fields.items() if value is not None}


def _made(kind: type[Command], **fields: Any) -> Command:
    """The message. Raises `UpdateRefused` with a line for each wrong value."""
    try:
        return kind(**fields)
    except ValidationError as error:
        raise UpdateRefused(in_lines(error)) from error


async def within(timeout: timedelta, work: Awaitable[T]) -> T:
    """Bounds all attempts of a call together: the SDK repeats one that timed out."""
    async with asyncio.timeout(timeout.total_seconds()):
        return await work


class RunControl:
    """The methods of a handle that change a run.

    Signals (`cancel`, `pause`, `resume`) return when Temporal has recorded them. Updates return the
    run's answer. They raise `UpdateRefused` with the run's reason, and `NoWorker`: then they may
    still take effect once a worker is back (`NotConfirmed`: once the account provider answers).
    After as many updates as Temporal allows they send a signal, and raise `SentAsSignal`.
    All raise `RunNotFound`, `RunClosed`, `ServiceUnavailable`.
    """

    def __init__(self, client: Client, id: str) -> None:
        self.id = id
        self._client = client
        self._handle = client.get_workflow_handle(id)

    async def cancel(self, reason: str = "") -> None:
        """Stops the run: it closes its accounts and reports."""
        await self._signal("cancel", _made(Cancel, reason=reason))

    async def pause(self) -> None:
        """Starts no new calls until `resume`; those in flight continue."""
        await self._signal("pause", Empty())

    async def resume(self, *, unpaid_only: bool = False) -> None:
        """Lets calls start again, and wakes those that wait for an upstream to be paid. With
        `unpaid_only` a paused run stays paused."""
        await self._signal("resume", Resume(**_given(unpaid_only=unpaid_only or None)))

    async def adjust_budget(
        self,
        agent: str,
        usd: Usd,
        *,
        max_total_usd: Usd | None = None,
        raise_only: bool = False,
    ) -> BudgetAdjusted:
        """Sets a limit, in force at the gateway on return. Tasks parked for money resume. With
        `max_total_usd`, a higher one is refused where all limits together would be above that; with
        `raise_only`, a lower one than the agent has."""
        given = _given(max_total_usd=max_total_usd, raise_only=raise_only or None)
        command = _made(AdjustBudget, agent=agent, budget_usd=usd, **given)
        return await self._update("adjust_budget", command, BudgetAdjusted, "the new budget")

    async def transfer(
        self, source: str, target: str, usd: Usd, *, max_total_usd: Usd | None = None
    ) -> Transferred:
        """Moves unspent money from one agent's limit to another's. Both change, or neither does.
        With `max_total_usd`, refused where all limits together are above that."""
        given = _given(max_total_usd=max_total_usd)
        command = _made(Transfer, from_agent=source, to_agent=target, amount_usd=usd, **given)
        return await self._update("transfer", command, Transferred, "the transfer")

    async def adjust_agent(self, agent: str, **changes: Unpack[AgentChanges]) -> AgentAdjusted:
        """Changes settings of an agent (`orchestrator` is one) for calls that have not started."""
        command = _made(AdjustAgent, agent=agent, **changes)
        return await self._update("adjust_agent", command, AgentAdjusted, "the agent's settings")

    async def adjust_run(self, **changes: Unpack[RunChanges]) -> RunAdjusted:
        """Changes limits of the whole run, for what has not started."""
        return await self._update(
            "adjust_run", _made(AdjustRun, **changes), RunAdjusted, "the limits"
        )

    async def add_task(self, task: Task) -> TaskAnswer:
        """Adds a task to a working run; it starts at once if its dependencies are done."""
        return await self._update("add_task", task, TaskAnswer, "the task")

    async def retry_task(self, task: str, *, since: datetime | None = None) -> TaskAnswer:
        """Resumes a parked task, or starts a failed one again while the run still works. With
        `since`, only if it has waited since then, as `state` has it."""
        command = _made(TaskCommand, task=task, **_given(since=since))
        return await self._decide("retry_task", command, TaskAnswer, "the retry", task)

    async def cancel_task(self, task: str, reason: str = "") -> TaskAnswer:
        """Stops one task; dependants that accept missing inputs continue."""
        command = _made(TaskCommand, task=task, reason=reason)
        return await self._update("cancel_task", command, TaskAnswer, "the task's end")

    async def answer(
        self,
        task: str,
        decision: EffectDecision | str,
        result: str | None = None,
        effect: str | None = None,
        *,
        since: datetime | None = None,
        by: str | None = None,
    ) -> TaskAnswer:
        """Answers a program or a tool that is parked: whether an effect happened (`retry`, `skip`,
        or `result` with what the tool would have returned), or a remote agent's question. With
        `since`, only what has waited since then. `by` says who decides; if omitted, the user of the
        operating system and the host."""
        command = _made(
            AnswerTask,
            task=task,
            decision=decision,
            by=decider() if by is None else by,
            **_given(result=result, effect=effect, since=since),
        )
        return await self._decide("answer", command, TaskAnswer, "the answer", task)

    async def approve(
        self,
        subject: str,
        approved: bool = True,
        note: str = "",
        *,
        sha256: str | None = None,
        since: datetime | None = None,
        by: str | None = None,
    ) -> Approve:
        """Approves or rejects what waits for it (see `approvals`). With `sha256`, only if that is
        what waits; with `since`, only if it has waited since then. A rejected plan cancels the run.
        `by` says who decides; if omitted, the user of the operating system and the host."""
        given = _given(sha256=sha256, since=since)
        who = decider() if by is None else by
        command = _made(Approve, subject=subject, approved=approved, note=note, by=who, **given)
        return await self._decide("approve", command, Approve, "the approval", subject)

    async def reject(
        self,
        subject: str,
        note: str,
        *,
        sha256: str | None = None,
        since: datetime | None = None,
        by: str | None = None,
    ) -> Approve:
        """Rejects what waits for approval. The agent of a tool's call gets the note as the result,
        that of a hand-off answers again; a task is skipped, and a plan cancels the run."""
        return await self.approve(subject, False, note, sha256=sha256, since=since, by=by)

    async def edit(
        self,
        subject: str,
        arguments: str,
        note: str = "",
        *,
        since: datetime | None = None,
        by: str | None = None,
    ) -> Approve:
        """Approves a call of a tool with other arguments, a JSON object."""
        given = _given(arguments=arguments, since=since)
        who = decider() if by is None else by
        command = _made(Approve, subject=subject, approved=True, note=note, by=who, **given)
        return await self._decide("approve", command, Approve, "the approval", subject)

    async def _signal(self, name: str, payload: Message) -> None:
        with translated(self.id):
            await self._must_be_ours(CALL_TIMEOUT)
            sending = self._handle.signal(name, payload, rpc_timeout=CALL_TIMEOUT)
            await within(CALL_TIMEOUT, sending)

    async def _decide(
        self, name: str, command: Message, kind: type[Answer], what: str, subject: str
    ) -> Answer:
        """Sends a decision once more that was refused though its subject waits. A query shows what
        a run waits for as soon as that is in its history; a decision that comes in the workflow
        task which brings it to the run is carried out before it, and finds nothing waiting."""
        try:
            return await self._update(name, command, kind, what)
        except UpdateRefused:
            if not await self._waits(subject):
                raise
            return await self._update(name, command, kind, what)

    async def _waits(self, subject: str) -> bool:
        with translated(self.id):
            asking = self._handle.query("state", result_type=RunState, rpc_timeout=CALL_TIMEOUT)
            state = await within(CALL_TIMEOUT, asking)
        return any(each.subject == subject for each in state.waiting)

    async def _update(self, name: str, command: Message, kind: type[Answer], what: str) -> Answer:
        accepted = False
        with translated(self.id):
            try:
                id = str(uuid.uuid4())
                update: Any = await self._patiently(
                    lambda timeout: self._sent(name, command, kind, id, timeout)
                )
                accepted = True
                answer: Answer = await within(
                    UPDATE_TIMEOUT, update.result(rpc_timeout=UPDATE_TIMEOUT)
                )
                return answer
            except WorkflowUpdateFailedError as error:
                raise UpdateRefused(_message(error.cause)) from error
            except (WorkflowUpdateRPCTimeoutOrCancelledError, TimeoutError) as error:
                if (task := asyncio.current_task()) and task.cancelling():
                    raise asyncio.CancelledError from error  # the SDK hides a Ctrl-C like this
                await self._probe()
                if accepted and await self._has_worker():
                    raise NotConfirmed(self.id, what) from error
                raise NoWorker(
                    self.id, f"no worker confirmed {what} in time; it may still take effect"
                ) from error
            except RPCError as error:
                if not is_out_of_updates(error):
                    raise
                raise await self._signal_instead(name, command, what) from error

    async def _patiently(self, attempt: Callable[[timedelta], Awaitable[T]]) -> T:
        """What the attempt returns, within the timeout that it gets. It is made once more, with
        more time, where a worker lives: the second one joins an update that was sent."""
        began = datetime.now(UTC)
        try:
            return await within(ANSWER_TIMEOUT, attempt(ANSWER_TIMEOUT))
        except (RPCError, WorkflowUpdateRPCTimeoutOrCancelledError, TimeoutError) as error:
            is_answer = isinstance(error, RPCError) and not is_silence(error)
            if is_answer or not await self._is_polled(began):
                raise
        return await within(BUSY_TIMEOUT, attempt(BUSY_TIMEOUT))

    async def _is_polled(self, since: datetime) -> bool:
        """Whether a worker has asked for work since then, as far as Temporal says so. Raises
        `ServiceUnavailable` where that does not answer."""
        request = DescribeTaskQueueRequest(
            namespace=self._client.namespace,
            task_queue=TaskQueue(name=names.TASK_QUEUE),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        )
        try:
            asking = self._client.workflow_service.describe_task_queue(request)
            found = await within(PROBE_TIMEOUT, asking)
        except TimeoutError as error:
            raise silent("no answer in time") from error
        except RPCError as error:
            if is_silence(error):
                raise silent(error.message) from error
            return False  # it is not allowed to ask
        return any(each.last_access_time.ToDatetime(UTC) >= since for each in found.pollers)

    async def _sent(
        self, name: str, command: Message, kind: type[Answer], id: str, timeout: timedelta
    ) -> Any:
        """The update, once it is accepted. One that arrives in the moment in which the run
        continues as new fails without having reached it, and is sent again."""
        for left in reversed(range(SEAM_TRIES)):
            try:
                return await self._handle.start_update(
                    name,
                    command,
                    id=id,
                    wait_for_stage=WorkflowUpdateStage.ACCEPTED,
                    result_type=kind,
                    rpc_timeout=timeout,
                )
            except RPCError as error:
                if not left or not is_between_executions(error):
                    raise
            await asyncio.sleep(SEAM_PAUSE)
        raise AssertionError("the last try returns or raises")

    async def _signal_instead(self, name: str, command: Message, what: str) -> RunError:
        """Sends the command as the signal `adjust`; returns what to raise."""
        before = await self._refusals()
        payload = {"kind": name, **command.model_dump(mode="json", exclude_unset=True)}
        await within(CALL_TIMEOUT, self._handle.signal("adjust", payload, rpc_timeout=CALL_TIMEOUT))
        for _ in range(SIGNAL_LOOKS):
            await asyncio.sleep(SIGNAL_PAUSE)
            try:
                new = [each for each in await self._refusals() if each not in before]
            except (RPCError, TimeoutError):
                break  # it was sent: an error would have it sent again
            if new:
                return UpdateRefused(new[-1].problem)
        return SentAsSignal(self.id, what)

    async def _refusals(self) -> tuple[Refusal, ...]:
        now: RunState = await self._patiently(
            lambda timeout: self._handle.query("state", result_type=RunState, rpc_timeout=timeout)
        )
        return now.refusals

    async def _probe(self) -> None:
        """After a timeout: raises if Temporal does not answer, rather than the run's worker."""
        await self._must_be_ours(PROBE_TIMEOUT)

    async def _has_worker(self) -> bool:
        try:
            await within(PROBE_TIMEOUT, self._handle.query("spend", rpc_timeout=PROBE_TIMEOUT))
        except (RPCError, TimeoutError):
            return False
        return True

    async def _must_be_ours(self, timeout: timedelta) -> WorkflowExecutionDescription:
        """Raises `RunNotFound` for another workflow, which would take a signal of any name."""
        found = await within(timeout, self._handle.describe(rpc_timeout=timeout))
        if found.workflow_type != names.WORKFLOW:
            raise RunNotFound(self.id, f"this is a workflow of type `{found.workflow_type}`")
        return found


def _message(error: BaseException) -> str:
    return error.message if isinstance(error, ApplicationError) else str(error)
