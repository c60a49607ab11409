"""A conversation of an agent with tools as people see it: what the query `conversation` answers."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import ClassVar, Literal

from pydantic import Field

from durable_agent_team.contracts.approvals import MAX_DECIDER
from durable_agent_team.contracts.base import Message, Usd
from durable_agent_team.contracts.call import Usage
from durable_agent_team.contracts.text_ref import TextRef
from durable_agent_team.contracts.tool_kinds import MAX_TOOL_NAME, Effects

TURNS_PER_PAGE = 20
SHOWN_IN_VIEW = 400
"""Characters of a text in the query's answer, and less where a page has many calls: it stays below
64 KB. The history has all."""


class ToolCallStatus(StrEnum):
    """Where a call of a tool is."""

    APPROVAL = "approval"
    """It waits for a person to approve it."""
    READY = "ready"
    """For a free slot."""
    RUNNING = "running"
    PARKED = "parked"
    """It waits for a person's `answer`: it may have run, or cannot be made."""
    DONE = "done"
    FAILED = "failed"
    """The tool reported an error, or had no result in its time. The model gets that as the
    result."""
    REJECTED = "rejected"
    """A person rejected it; the model gets the note as the result."""
    SKIPPED = "skipped"
    """A person had it left out."""
    ANSWERED = "answered"
    """A person gave its result."""
    NOT_RUN = "not_run"
    """An unknown tool, arguments that are wrong, or the same call for the fourth time."""
    CANCELLED = "cancelled"
    """The task ended before it was run."""
    UNKNOWN = "unknown"
    """The task ended while it ran: it may have had its effect."""


class ToolCallView(Message):
    """One call of a tool."""

    number: str = Field(max_length=20)
    """`3.1` is the first call of turn 3; `TASK:3.1` is its subject for people."""
    id: str = Field("", max_length=200)
    """The provider's."""
    name: str = Field(max_length=MAX_TOOL_NAME)
    """As the model spelt it."""
    source: str = Field("", max_length=400)
    """For people: `files.read_text_file`; empty for an unknown tool."""
    effects: Effects | None = None
    arguments: str = ""
    """JSON; in the query's answer, how it begins."""
    status: ToolCallStatus
    approval: Literal["", "approved", "edited", "rejected", "timed_out"] = ""
    """What a person said, or the time limit."""
    note: str = Field("", max_length=1_000)
    """The person's."""
    decided_by: str = Field("", max_length=MAX_DECIDER)
    """Who approved, rejected or answered it, as the sender says."""
    decided_at: datetime | None = None
    tainted: bool = False
    """Something from outside had entered the conversation before it."""
    reason: str = Field("", max_length=1_000)
    """Why it waits, is parked or was not run."""
    result: str = ""
    """As the model got it; in the query's answer, how it begins."""
    result_ref: TextRef | None = None
    """Where the result is in the store."""
    bytes: int = 0
    """The size of the whole result if the model got only a part of it, else 0."""
    started_at: datetime | None = None
    seconds: float | None = None
    charged_usd: Usd = Decimal(0)


class TurnView(Message):
    """One turn: what the model said and called, and what it cost."""

    turn: int = Field(ge=1)
    conversation: str = Field("", max_length=100)
    """Its id: a task that was done again has several."""
    model: str = Field("", max_length=200)
    cost_usd: Usd = Decimal(0)
    usage: Usage = Usage()
    content: str = ""
    thinking: str = ""
    calls: tuple[ToolCallView, ...] = ()
    started_at: datetime | None = None


class ConversationQuery(Message):
    """The payload of the query `conversation`."""

    task: str = Field(max_length=200)
    page: int = Field(1, ge=1, le=1_000)


class ConversationPage(Message):
    """The turns of a task, `TURNS_PER_PAGE` a page, the oldest first."""

    stays_inline: ClassVar[bool] = True

    task: str
    turns: tuple[TurnView, ...] = ()
    turns_total: int = 0
    page: int = 1
    tainted: bool = False
