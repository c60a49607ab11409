"""One paid request of one agent: what goes into the activity, and what comes out."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar

from pydantic import Field

from durable_agent_team.contracts.base import Message, SignedUsd, Usd
from durable_agent_team.contracts.conversation import Conversation, Turn
from durable_agent_team.contracts.effects import UnknownEffect
from durable_agent_team.contracts.team import BuiltInOutput, Checks, Identifier, ReasoningEffort
from durable_agent_team.contracts.text_ref import Text, TextRef

MAX_ANSWER = 200_000
"""Characters. A longer answer fails its check; it was billed anyway."""

MAX_SOURCE = 1_000_000
MAX_REASONS = 50
"""The most reasons for which one answer is rejected."""

MAX_REJECTED = 8_000
"""Characters of a failed answer that its agent gets back, with all the reasons."""

MAX_REFUSAL = 1_500
"""Characters of the words with which a model refuses."""

MAX_THINKING = 8_000
"""Characters of a model's thinking in the history; with a store of large texts, all of it."""

MAX_STDERR = 8_000
"""Characters of a program's standard error in the history, its end; in the store, more of it."""

MAX_REMOTE_TASK = 500
"""Characters of a remote task's id."""


class Purpose(StrEnum):
    PLAN = "plan"
    WORK = "work"
    REVIEW = "review"
    FINAL = "final"


READ_BY_WORKFLOW = frozenset({Purpose.PLAN, Purpose.REVIEW})
"""The workflow itself reads these answers, in the shape that their `ask` describes."""


class AccountRef(Message):
    """An agent's ATXP account for one run. The key cannot be used without the sealing key."""

    agent: Identifier
    account_id: str = Field(max_length=200)
    sealed_key: str = Field(max_length=2_000, repr=False)


class Source(Message):
    """A checked input of a task: a document, or another task's hand-off.

    With `ref` the activity reads the text from the store, and `text` is empty.
    """

    name: str = Field(max_length=200)
    text: str = Field("", max_length=MAX_SOURCE)
    ref: TextRef | None = None
    first: int | None = Field(None, ge=1, le=MAX_SOURCE)
    """Only this many characters of the text that `ref` names."""

    @classmethod
    def of(cls, name: str, text: Text) -> "Source":
        if isinstance(text, TextRef):
            return cls(name=name, ref=text.model_copy(update={"preview": ""}))
        return cls(name=name, text=text)

    @property
    def whole(self) -> Text:
        return self.text if self.ref is None else self.ref


class Rejected(Message):
    """An answer that failed its checks, and why: the agent gets both back.

    With `answer_ref` the activity reads the answer from the store, and `answer` is empty.
    """

    answer: str = Field("", max_length=MAX_ANSWER)
    answer_ref: TextRef | None = None
    reasons: tuple[str, ...] = Field(max_length=MAX_REASONS)
    finish_reason: str = Field("", max_length=100)
    """As in its `CallResult`: after `length`, the agent is told what room it has now."""


class CallRequest(Message):
    """One call. All of its attempts have the same key and the same body."""

    idempotency_key: str = Field(max_length=100)
    account: AccountRef
    purpose: Purpose = Purpose.WORK
    task: str = Field(max_length=100)
    model: str = Field(max_length=200)
    max_tokens: int = Field(ge=1)
    raised_from: int | None = Field(None, ge=1)
    """The agent's own `max_tokens`, where a repair has more room since an answer was cut off."""
    temperature: float | None = 0
    frequency_penalty: float = 0
    seed: int | None = None
    reasoning_effort: ReasoningEffort | None = None
    system: str = Field("", max_length=20_000)
    goal: str | None = Field(None, max_length=4_000)
    """Only in the orchestrator's calls."""
    sources: tuple[Source, ...] = Field((), max_length=1_100)
    missing: tuple[str, ...] = Field((), max_length=1_000)
    """Inputs that the task does not have because their tasks were skipped."""
    ask: str = Field("", max_length=2_000_000)
    """A review's `ask` lists every task. `call_requests.py` limits the size of a prompt."""
    known_limits: int = Field(0, ge=0)
    """How often an operator had it made again after the gateway had ended it at a limit of its own.
    The gateway makes it once more than that, whichever attempt arrives first."""
    rejected: Rejected | None = None
    output: BuiltInOutput | dict[str, Any] = "text"
    checks: Checks = Checks()
    checked_by_workflow: bool = False
    """A plan or a review in the whole form: `output` only shapes the answer, and the workflow says
    what is wrong with it, in words that name each task."""
    conversation: Conversation | None = None
    """Set for an agent with tools. In its base form, most other fields here are empty."""


class Usage(Message):
    """Tokens as billed; a gateway that does not know them charges its bound as `estimated`."""

    prompt_tokens: int = Field(0, ge=0)
    completion_tokens: int = Field(0, ge=0)
    cached_tokens: int = Field(0, ge=0)
    """Tokens of the prompt that the provider read from its cache."""
    cache_write_tokens: int = Field(0, ge=0)
    """Tokens of the prompt that the provider wrote to its cache."""
    reasoning_tokens: int = Field(0, ge=0)
    """Tokens of the answer that the model spent on thinking."""
    saved_usd: SignedUsd = Decimal(0)
    """What caching saved against the price without it; negative if it cost more than it saved."""


class CallResult(Message):
    """A billed answer. With `reasons` it failed its checks and must not be handed on.

    With `answer_ref` the answer is in the store, and `answer` is empty.
    """

    stays_inline: ClassVar[bool] = True
    """An activity that cannot report its paid answer would lose it."""

    answer: str = Field("", max_length=MAX_ANSWER)
    answer_ref: TextRef | None = None
    reasons: tuple[str, ...] = Field((), max_length=MAX_REASONS)
    finish_reason: str = Field("", max_length=100)
    """In OpenAI's words: `length`, `content_filter`, `refusal` or `error`. Empty for an answer that
    is complete, as far as anyone knows."""
    refusal: str = Field("", max_length=MAX_REFUSAL)
    """The model's words, where it refused to answer. It is not asked again; `reasons` has them too.
    """
    thinking: str = Field("", max_length=MAX_ANSWER)
    """What the model thought before it answered, as far as the provider shows it. For people: it is
    neither checked nor handed on. With `thinking_ref` it is in the store."""
    thinking_ref: TextRef | None = None
    cost_usd: Usd
    estimated: bool = False
    usage: Usage = Usage()
    """For a program, everything that its scope has used so far."""
    replayed: bool = False
    """The gateway had this answer already: an earlier attempt was billed, this one was not."""
    failed_attempts_usd: Usd = Decimal(0)
    """What earlier attempts are known to have cost on top: billed answers that were unusable."""
    account_spent_usd: Usd | None = None
    """The account's whole spend after this answer, where the gateway reports it."""
    account_possibly_billed_calls: int = 0
    """All requests of the account that the gateway gave up after they were sent, so far."""
    account_possibly_billed_usd: Usd = Decimal(0)
    """The most that the operator may have to pay for these."""
    started_at: datetime
    """When the attempt that succeeded started."""
    seconds: float = Field(ge=0)
    stderr: str = Field("", max_length=MAX_STDERR)
    """The end of a program's standard error. With `stderr_ref` it is in the store."""
    stderr_ref: TextRef | None = None
    remote_task: str | None = Field(None, max_length=MAX_REMOTE_TASK)
    """The task of a remote agent, for a repair in the same conversation."""
    turn: Turn | None = None
    """The model calls tools: this is no answer yet, and was not checked as one."""

    @property
    def text(self) -> Text:
        """The answer as it travels."""
        return self.answer if self.answer_ref is None else self.answer_ref


class AttemptSpend(Message):
    """Details of every error of a call: what its attempts are known to have cost so far."""

    spent_usd: Usd = Decimal(0)
    attempts: int = Field(1, ge=0)
    counted_attempts: int | None = Field(None, ge=0)
    """How many of them count against `max_attempts`; None from a worker that does not
    count."""
    retry_after_seconds: float | None = Field(None, ge=0)
    """How long the server asked to wait."""
    task: str | None = None
    """Where attempts are left: whose attempt failed, for those who watch."""
    status: int | None = None
    upstream: str | None = Field(None, max_length=60)
    """The gateway's name for the provider that refused."""
    required_usd: Usd | None = None
    remaining_usd: Usd | None = None
    effect: UnknownEffect | None = None
    """The effect of a program of which nobody knows whether it happened."""
    remote_task: str | None = Field(None, max_length=MAX_REMOTE_TASK)
    """The remote task that continues once a person has answered its question."""
    stderr: str = Field("", max_length=MAX_STDERR)
    """The end of the program's standard error. With `stderr_ref` it is in the store."""
    stderr_ref: TextRef | None = None
    usage: Usage | None = None
    """For a program, what its scope has used so far, if the gateway reported it."""
