"""A run: its start input, its state and its report."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from durable_agent_team.contracts.approvals import Decided, PendingApproval
from durable_agent_team.contracts.base import Message, Usd
from durable_agent_team.contracts.call import MAX_ANSWER, MAX_REMOTE_TASK, MAX_SOURCE
from durable_agent_team.contracts.conversation_view import ToolCallStatus
from durable_agent_team.contracts.effects import UnknownEffect
from durable_agent_team.contracts.plan_in_full import PlanInFull
from durable_agent_team.contracts.seed import RunId, Seed
from durable_agent_team.contracts.spend import SpendReport
from durable_agent_team.contracts.team import (
    MAX_DOCUMENTS,
    MAX_TASKS,
    Identifier,
    SourceName,
    Team,
)
from durable_agent_team.contracts.text_ref import Text, TextRef, preview_of
from durable_agent_team.contracts.tool_kinds import Effects

TASKS_PER_PAGE = 100
MAX_COMMAND = 1_500

SourceText = Annotated[str, Field(max_length=MAX_SOURCE)]


class RunRequest(Message):
    """The start input of the workflow `Orchestrator`.

    `goal` overrides the team's own. All the inputs that the team names are there by their names:
    their texts in `sources`, or references to them in `documents`, where a store has them.
    `seed` has what the run takes over from one that ended.
    """

    team: Team
    goal: str | None = Field(None, min_length=1, max_length=4_000)
    sources: dict[SourceName, SourceText] = Field({}, max_length=MAX_DOCUMENTS)
    documents: dict[SourceName, TextRef] = Field({}, max_length=MAX_DOCUMENTS)
    seed: Seed | None = None

    @property
    def effective_goal(self) -> str:
        """The goal of this run: the request's, or the team's; empty where neither has one."""
        return self.goal or self.team.goal or ""

    @property
    def texts(self) -> Mapping[str, Text]:
        """Every input as it travels, by its name. No copy where all are of one kind, as they are
        with a store, and without: a run asks for each task, and may have thousands of each."""
        if not self.documents:
            return self.sources
        return {**self.sources, **self.documents} if self.sources else self.documents


class RunStatus(StrEnum):
    STARTING = "starting"
    PLANNING = "planning"
    APPROVAL = "approval"
    """The plan waits for approval."""
    WORKING = "working"
    PARKED = "parked"
    """Nothing continues until an operator answers: `RunState.waiting` lists what waits."""
    REVIEWING = "reviewing"
    FINISHING = "finishing"
    CLOSING = "closing"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"
    TERMINATED = "terminated"
    """By Temporal, at once: the run could neither report nor close its accounts."""
    TIMED_OUT = "timed out"
    """Likewise, by a timeout for the whole workflow."""


class TaskStatus(StrEnum):
    WAITING = "waiting"
    """For its dependencies."""
    READY = "ready"
    """For a free slot."""
    RUNNING = "running"
    PARKED = "parked"
    """For an operator: `RunState.waiting` says why, and the command that wakes it."""
    DONE = "done"
    SKIPPED = "skipped"
    """Ended without a hand-off, by the agent's policy."""
    FAILED = "failed"
    BLOCKED = "blocked"
    """A dependency failed, so it never ran."""
    CANCELLED = "cancelled"


class Failure(Message):
    """`type` is one of `durable_agent_team.contracts.error_types.ErrorType`."""

    type: str = Field(max_length=60)
    message: str = Field(max_length=2_000)
    required_usd: Usd | None = None
    remaining_usd: Usd | None = None
    upstream: str | None = Field(None, max_length=60)
    """Which one the operator has to pay."""
    effect: UnknownEffect | None = None
    """The effect of a program that a person must decide about."""
    remote_task: str | None = Field(None, max_length=MAX_REMOTE_TASK)
    """The task of a remote agent that waits for a person's answer."""


class RetryState(Message):
    """A call whose last attempt failed, and that is going to be attempted again, or is being so."""

    attempt: int
    """The number of the next attempt, or of the one in flight; of the call, not of the agent."""
    of: int
    """About how many attempts are made before the agent's `on_failure` decides."""
    type: str = Field(max_length=60)
    """The type of the last failure, from `durable_agent_team.contracts.error_types.ErrorType`."""
    next_at: datetime | None = None
    """When it is attempted; None while it is, or waits for a slot."""


class Retrying(RetryState):
    """The same, in the list of all calls of a run that are attempted again."""

    subject: str = Field(max_length=200)
    """A task's id, `plan`, `review` or `answer`."""
    agent: Identifier
    message: str = Field(max_length=300)
    """What the last failure said."""
    until: datetime | None = None
    """How long the trouble is waited out."""


class TaskState(Message):
    id: Identifier
    agent: Identifier
    status: TaskStatus
    depends_on: tuple[Identifier, ...]
    depends_on_cut: bool = False
    """There are more than a message has room for."""
    calls: int
    spent_usd: Usd
    started_at: datetime | None
    ended_at: datetime | None
    failure: Failure | None
    reused_from: RunId | None = None
    """The run that made and paid its hand-off, which this run took over."""
    reused_usd: Usd | None = None
    """What it cost there; not in `spent_usd`."""
    retry: RetryState | None = None
    """While its call is in trouble: the task is running, and needs no person."""
    step: str | None = Field(None, max_length=100)
    """What it is doing, where that is not a call of a model: `preparing environment`, or the tool
    that is called."""


class Waiting(Message):
    """Something that waits for an operator, and the command that answers it."""

    subject: str = Field(max_length=200)
    """A task's id, `plan`, `review` or `answer`; or a part of a task, such as `TASK:3.1`
    (`approvals.ApprovalKind`)."""
    agent: Identifier | None = None
    reason: str = Field(max_length=1_000)
    type: str | None = Field(None, max_length=60)
    """The type of the refusal, from `durable_agent_team.contracts.error_types.ErrorType`."""
    required_usd: Usd | None = None
    remaining_usd: Usd | None = None
    command: str = Field(max_length=MAX_COMMAND)
    """With the run's id in it, which may have a thousand characters."""
    since: datetime
    until: datetime | None = None
    upstream: str | None = Field(None, max_length=60)
    """Which one the operator has to pay."""
    calls: int | None = None
    """How many calls wait for the same, where `state` lists one for all of them."""


class OpenToolCall(Message):
    """A call of a tool that has not ended: in flight, or waiting."""

    subject: str = Field(max_length=200)
    """`TASK:3.1`: the first call of the task's third turn."""
    agent: Identifier
    source: str = Field(max_length=400)
    """`files.read_text_file`, `shop.tools:refund`, `calculate`."""
    effects: Effects | None = None
    status: ToolCallStatus
    tainted: bool = False
    """Something from outside had entered the conversation before it."""
    started_at: datetime | None = None


class Refusal(Message):
    """A message from outside that was not understood: recorded, never fatal."""

    at: datetime
    message: str = Field(max_length=100)
    problem: str = Field(max_length=1_000)


class RunState(Message):
    """The answer of the query `state`."""

    stays_inline: ClassVar[bool] = True

    workflow_id: str
    team: str
    goal: str = Field(max_length=500)
    status: RunStatus
    paused: bool
    max_parallel: int | None = None
    deadline: datetime | None = None
    """After it nothing new starts."""
    cancel_reason: str | None
    tasks: tuple[TaskState, ...]
    tasks_total: int
    page: int
    waiting: tuple[Waiting, ...]
    retrying: tuple[Retrying, ...] = ()
    """Calls that are attempted again by themselves; the first ones of many."""
    refusals: tuple[Refusal, ...]
    failure: Failure | None
    tool_calls: tuple[OpenToolCall, ...] = ()
    """Calls of tools that have not ended; the first ones of many."""
    plan: PlanInFull | None = None
    """The one that waits for approval, in `state --json`; the query has no room for it."""
    approvals: tuple[PendingApproval, ...] = ()
    """What waits for approval, in `state --json`; the query `approvals` has it."""
    decisions: tuple[Decided, ...] = ()
    """What people have decided; the last ones of many."""


class TaskOutcome(Message):
    """`output` is the hand-off; cut where all of them together would not fit a payload.

    With `output_ref` the hand-off is in the store, and `output` is how it begins. The client reads
    it, so that its reports have every hand-off in full.
    """

    task: TaskState
    output: str | None = Field(None, max_length=MAX_SOURCE)
    output_cut: bool = False
    output_ref: TextRef | None = None

    @property
    def handoff(self) -> Text | None:
        """The whole hand-off as it travels; None if it is cut, or if there is none."""
        if self.output_ref is None:
            return None if self.output_cut else self.output
        return self.output_ref.model_copy(update={"preview": preview_of(self.output or "")})


class RunReport(Message):
    """What a run returns, however it ends.

    With `answer_parts` the answer is these texts, an empty line between them, and `answer` is how
    it begins. The client reads them, so that its reports have the answer in full.
    """

    stays_inline: ClassVar[bool] = True

    workflow_id: str
    team: str
    goal: str
    status: RunStatus
    answer: str | None = Field(None, max_length=MAX_ANSWER)
    answer_parts: tuple[Text, ...] = Field((), max_length=MAX_TASKS)
    outcomes: tuple[TaskOutcome, ...]
    outcomes_cut: int = 0
    """So many outcomes, the last ones, have neither times nor a failure nor dependencies: the
    report of thousands of tasks may have no room for them. The query `state` has them."""
    spend: SpendReport
    cancel_reason: str | None = None
    failure: Failure | None = None
    started_at: datetime
    ended_at: datetime
    call_seconds: float
    """The sum over all calls: what the run would have taken with one call at a time."""
    decisions: tuple[Decided, ...] = ()
    """What people have decided; the last ones of many."""
