"""A team file: the orchestrator, the agents, and optionally the tasks."""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import FailFast, Field

from durable_agent_team.contracts.base import BudgetUsd, Written
from durable_agent_team.contracts.names import IDENTIFIER
from durable_agent_team.contracts.program_kinds import Run
from durable_agent_team.contracts.tool_kinds import MAX_TOOLS, Tool, ToolServer

MAX_TASKS = 5_000
"""The most tasks of one run."""
MAX_DOCUMENTS = MAX_TASKS
"""A run may have: each of its tasks can have a document of its own."""
MAX_TOKENS = 131_072
"""The most tokens of one answer."""

Identifier = Annotated[str, Field(pattern=IDENTIFIER)]
SourceName = Annotated[str, Field(min_length=1, max_length=200)]
SourceNames = Annotated[tuple[SourceName, ...], FailFast(), Field(max_length=50)]
"""The first wrong one is reported: a thousand tasks could have too many to list."""
MAX_DEPENDENCIES = 1_000
"""The most tasks whose hand-offs one task reads."""
Dependencies = Annotated[tuple[Identifier, ...], FailFast(), Field(max_length=MAX_DEPENDENCIES)]
ModelName = Annotated[str, Field(min_length=1, max_length=200)]
Instructions = Annotated[str, Field(max_length=8_000)]
TimeoutSeconds = Annotated[float, Field(gt=0, le=86_400)]
Attempts = Annotated[int, Field(ge=1, le=20)]
MaxTokens = Annotated[int, Field(ge=1, le=MAX_TOKENS)]
Parallel = Annotated[int, Field(ge=1, le=500)]

BuiltInOutput = Literal["text", "findings"]
ReasoningEffort = Literal["none", "minimal", "low", "medium", "high", "xhigh"]


class OnExhausted(StrEnum):
    """What happens to a call that the account refuses to pay."""

    PARK = "park"
    """The task waits, durably, for an operator: a top-up, another limit, a retry."""
    FALLBACK = "fallback"
    """A new call with `fallback_model`; if that is refused too, it parks."""
    SKIP = "skip"
    """The task ends without a hand-off; its dependants decide whether they accept that."""
    FAIL = "fail"


class OnFailure(StrEnum):
    """What happens to a call that cannot be made, or whose answers fail their checks."""

    PARK = "park"
    """The task waits, durably, for an operator."""
    FAIL = "fail"


class Retry(Written):
    """How often, and how far apart, a failed call is attempted again. Seconds."""

    max_attempts: Attempts = 8
    """Counts attempts that may have been billed, or that failed for a reason of their own."""
    initial_seconds: float = Field(0.2, gt=0, le=3600)
    backoff: float = Field(2, ge=1, le=10)
    max_seconds: float = Field(30, gt=0, le=3600)
    give_up_after_seconds: float = Field(3600, ge=0, le=90 * 86_400)
    """How long an outage or a rate limit is waited out, whatever `max_attempts` is."""


class Caller(Written):
    """What every agent has, the orchestrator too: a model, limits and a retry policy."""

    model: ModelName | None = None
    budget_usd: BudgetUsd | None = None
    instructions: Instructions = ""
    max_tokens: MaxTokens = 512
    context_tokens: int | None = Field(None, ge=16, le=100_000_000)
    temperature: float | None = Field(0, ge=0, le=2)
    """None: it is not sent."""
    frequency_penalty: float = Field(0, ge=-2, le=2)
    seed: int | None = Field(None, ge=0, le=2**31 - 1)
    reasoning_effort: ReasoningEffort | None = None
    timeout_seconds: TimeoutSeconds = 60
    retry: Retry = Retry()
    on_failure: OnFailure = OnFailure.PARK
    """What follows a call that is refused, or that fails in all its attempts and its time."""
    on_failed_check: OnFailure = OnFailure.FAIL
    """What follows an answer that still fails its checks after all repairs."""
    on_exhausted: OnExhausted = OnExhausted.PARK
    fallback_model: ModelName | None = None
    min_tokens: MaxTokens | None = None
    """Before anything else, `max_tokens` may shrink to this, so that the call fits the account."""
    park_timeout_seconds: float = Field(7 * 86_400, gt=0, le=90 * 86_400)
    on_park_timeout: Literal["fail", "skip"] = "fail"
    breaker_failures: int = Field(5, ge=1, le=1_000)
    """After this many failed calls in a row the agent parks, instead of burning its budget."""
    approve_above_usd: BudgetUsd | None = None
    """A call that can cost more than this waits until a person approves it."""


class OrchestratorAgent(Caller):
    """The one agent that knows the goal."""


class Agent(Caller):
    """One specialist. It knows only its own tasks, never the goal."""

    role: str = Field(min_length=1, max_length=200)
    inputs: SourceNames = ()
    """Documents that precede every task of this agent: file names relative to the team file."""
    run: Run | None = None
    """The agent is a program, which makes its own calls of models through the gateway."""
    tools: tuple[Tool, ...] = Field((), max_length=MAX_TOOLS)
    """What the agent may call before it answers."""
    max_turns: int = Field(20, ge=1, le=200)
    """Calls of the model for one answer. In the last one it gets no tools."""


class Checks(Written):
    """Rules for a task's output, in addition to its schema. Lengths in characters."""

    min_length: int | None = Field(None, ge=0, le=200_000)
    max_length: int | None = Field(None, ge=1, le=200_000)
    quotes_exist_in: Literal["inputs"] | None = None
    complete: bool = True
    """Whether an answer fails that was cut off: by a limit of tokens, a filter, or an error."""


class Task(Written):
    """One unit of work for one agent."""

    id: Identifier
    agent: Identifier
    ask: str = Field(min_length=1, max_length=8_000)
    depends_on: Dependencies = ()
    inputs: SourceNames = ()
    output: BuiltInOutput | dict[str, Any] = "text"
    checks: Checks = Checks()
    missing_inputs: Literal["fail", "accept"] = "fail"
    """`accept`: runs without the hand-offs of skipped dependencies, and gets a list of them."""
    approve: Literal["before", "after"] | None = None
    """A person approves the task before its first call, or its hand-off before it is handed on."""


class NotifyOn(StrEnum):
    """What `notify_url` is called for."""

    WAITING = "waiting"
    """Something waits for an operator: a parked call, a plan to approve."""
    FAILED = "failed"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class OnTaskFailure(StrEnum):
    FINISH_REST = "finish_rest"
    CANCEL_REST = "cancel_rest"


class Team(Written):
    """The public file format; `docs/team-files.md` explains every key."""

    name: Identifier
    goal: str | None = Field(None, min_length=1, max_length=4_000)
    budget_usd: BudgetUsd | None = None
    orchestrator: OrchestratorAgent = OrchestratorAgent()
    tool_servers: dict[Identifier, ToolServer] = Field({}, max_length=MAX_TOOLS)
    """MCP servers, which the `tools` of agents name."""
    agents: dict[Identifier, Agent] = Field(min_length=1, max_length=1_000)
    tasks: tuple[Task, ...] = Field((), max_length=MAX_TASKS)
    result: Identifier | None = None
    final: Literal["orchestrator", "handoff"] = "orchestrator"
    approve_plan: bool = False
    review_rounds: int = Field(0, ge=0, le=5)
    """How often the orchestrator may review what is done and failed, and revise the plan."""
    approve_review: Literal["never", "tainted", "always"] = "tainted"
    """Whether a person approves a review's changes of the plan before they are carried out.
    `tainted`: where the review has read a hand-off that may hold something from outside, in a team
    that has tools."""
    max_parallel: Parallel = 20
    max_tasks: int = Field(50, ge=1, le=MAX_TASKS)
    max_repairs: int = Field(2, ge=0, le=10)
    on_task_failure: OnTaskFailure = OnTaskFailure.FINISH_REST
    notify_url: str | None = Field(None, max_length=2_000, pattern=r"^https?://[^\s]+$")
    """Gets a POST for each of `notify_on`."""
    notify_on: tuple[NotifyOn, ...] = Field(
        (NotifyOn.WAITING, NotifyOn.FAILED), min_length=1, max_length=4
    )
