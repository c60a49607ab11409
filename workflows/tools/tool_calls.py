"""Makes the calls of a turn: in parallel, each approved and paid for, no effect twice."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from durable_agent_team.contracts.conversation import ToolMessage, Turn
from durable_agent_team.contracts.team import Caller
from durable_agent_team.contracts.tool_box import ToolBox
from workflows.activity_executor import ActivityExecutor
from workflows.people.approval import Approval
from workflows.people.parking import Parking
from workflows.state.progress import Progress
from workflows.state.tool_work import ToolWork


class ToolUser(Protocol):
    """Whose turn it is: an assignment."""

    @property
    def agent(self) -> str: ...
    @property
    def subject(self) -> str: ...
    @property
    def caller(self) -> Caller: ...


class Places(Protocol):
    """The gate: one of the run's `max_parallel` places."""

    def tool_slot(self) -> AbstractAsyncContextManager[None]: ...


class ToolCalls:
    """Makes the calls of turns. What it knows of a conversation is in `Progress.tool_work`."""

    def __init__(
        self,
        progress: Progress,
        activities: ActivityExecutor,
        parking: Parking,
        approval: Approval,
        places: Places,
    ) -> None:
        self._progress = progress
        self._activities = activities
        self._parking = parking
        self._approval = approval
        self._places = places

    def work(self, user: ToolUser, conversation_id: str) -> ToolWork:
        """What the tools of this conversation have done: `made`, `succeeded` and `repeats` say
        which tools the next turn is offered."""
        raise NotImplementedError

    async def run(
        self, user: ToolUser, conversation_id: str, turn_number: int, turn: Turn, box: ToolBox
    ) -> tuple[ToolMessage, ...]:
        """The results of a turn's calls, in the order of the calls. Between its return and the next
        `await`, the caller appends them to the conversation.

        May be called again for the same turn in the run's next execution: what has ended is not
        done again, and what waited waits again. Raises TaskFailed and TaskSkipped where nobody woke
        a parked call in time, and CancelledError in a run that starts nothing new.
        """
        raise NotImplementedError

    def forget(self, conversation_id: str) -> None:
        """The conversation has ended, and is not shown any more."""
        self._progress.tool_work.pop(conversation_id, None)
