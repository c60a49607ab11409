"""What is recorded of one task besides its place in the graph."""

from dataclasses import dataclass
from datetime import datetime

from durable_agent_team.contracts.run import Failure


@dataclass
class TaskLog:
    """What the task has cost is not recorded here: `Charges.by_task` has it."""

    calls: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None
    failure: Failure | None = None

    def end(self, failure: Failure, at: datetime) -> None:
        self.failure, self.ended_at = failure, at

    def reopen(self) -> None:
        self.failure = self.ended_at = None
