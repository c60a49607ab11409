"""What `notify_url` gets when something parks. No goal, no prompt, no answer is in it."""

from pydantic import Field

from durable_agent_team.contracts.base import Message
from durable_agent_team.contracts.run import Waiting


class Notification(Message):
    """POSTed as JSON, without `url`."""

    url: str = Field(max_length=2_000)
    workflow_id: str
    team: str
    waiting: Waiting
