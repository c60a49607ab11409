"""What `notify_url` gets. No goal, no prompt, no answer is in it."""

from datetime import datetime

from pydantic import Field

from durable_agent_team.contracts.base import Message, Usd
from durable_agent_team.contracts.run import MAX_COMMAND, Failure, RunStatus, Waiting


class RunEnd(Message):
    """How a run ended, and what it cost."""

    status: RunStatus
    failure: Failure | None = None
    cancel_reason: str | None = None
    spent_usd: Usd
    tasks_done: int
    tasks_total: int
    ended_at: datetime
    command: str = Field(max_length=MAX_COMMAND)
    """Prints the run's result."""


class Notification(Message):
    """POSTed as JSON, without `url`: either `waiting` or `ended`."""

    url: str = Field(max_length=2_000)
    workflow_id: str
    team: str
    waiting: Waiting | None = None
    ended: RunEnd | None = None
