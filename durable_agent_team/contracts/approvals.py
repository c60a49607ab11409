"""What waits for a person's approval: the query `approvals` shows it in full."""

from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Final, Literal

from pydantic import Field

from durable_agent_team.contracts.base import Message, Usd
from durable_agent_team.contracts.team import Identifier
from durable_agent_team.contracts.text_ref import Sha256, Text

MAX_SUBJECT = 200
MAX_WHAT = 300
MAX_DECIDER = 200
TIME_LIMIT: Final = "the time limit"
"""In the place of a person, where nobody decided in time."""

Decision = Literal["approved", "rejected", "edited", "retry", "skip", "result"]
"""The first three answer an approval, the others a call of a tool or a program."""


class ApprovalKind(StrEnum):
    PLAN = "plan"
    """Subject `plan`: the tasks that the orchestrator has planned."""
    REVIEW = "review"
    """Subject `review`: how the orchestrator's review changes the plan (`approve_review`)."""
    TASK = "task"
    """Subject `TASK`: a task, before its first call (`approve: before`)."""
    HANDOFF = "handoff"
    """Subject `TASK:handoff`: what a task hands on (`approve: after`)."""
    TOOL = "tool"
    """Subject `TASK:3.1`: the first call of a tool in the third turn of a task."""
    CALL = "call"
    """Subject `TASK:call`: a call of a model that may cost more than `approve_above_usd`."""


class PendingApproval(Message):
    """One subject that waits. The approval holds for what `sha256` names, and is used up once."""

    subject: str = Field(max_length=MAX_SUBJECT)
    kind: ApprovalKind
    agent: Identifier | None = None
    task: str | None = Field(None, max_length=100)
    what: str = Field(max_length=MAX_WHAT)
    """On one line: `files.write_file`, or how the ask begins."""
    content: Text = ""
    """What is approved: a tool's arguments as JSON, a task's ask with the names of what it reads, a
    hand-off (or the reference to it), a plan or its changes as JSON. Of a long text,
    `content_characters` from `content_first` on."""
    content_first: int = Field(0, ge=0)
    content_characters: int | None = Field(None, ge=0)
    """The length of the whole text, if `content` has only a part of it."""
    sha256: Sha256
    amount_usd: Usd | None = None
    """What a tool's call costs or moves, or the most that a model's call can cost."""
    tainted: bool = False
    """Something from outside has entered the conversation, or what the task reads."""
    since: datetime
    until: datetime | None = None
    on_timeout: Literal["reject", "approve"] | None = None
    """What happens at `until`."""


class Decided(Message):
    """What was decided about something that waited for a person."""

    subject: str = Field(max_length=MAX_SUBJECT)
    decision: Decision
    by: str = Field("", max_length=MAX_DECIDER)
    """Who, as the sender says; `the time limit` where nobody did in time."""
    at: datetime
    note: str = Field("", max_length=1_000)


class ApprovalsQuery(Message):
    """Approvals come in pages, so that an answer stays below 64 KB. With a `subject`, that one
    alone: its content from the character `first` on."""

    page: int = Field(1, ge=1, le=1_000)
    subject: str | None = Field(None, max_length=MAX_SUBJECT)
    first: int = Field(0, ge=0, le=10_000_000)


class ApprovalsPage(Message):
    """The answer of the query `approvals`, in the order in which they were asked for."""

    stays_inline: ClassVar[bool] = True

    approvals: tuple[PendingApproval, ...] = ()
    total: int = Field(0, ge=0)
    page: int = 1
    pages: int = 1
