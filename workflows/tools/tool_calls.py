"""Makes the calls of a turn: in parallel, each approved and paid for, no effect twice."""

from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Protocol

from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType

from durable_agent_team.contracts.activity_interfaces import ToolActivities
from durable_agent_team.contracts.conversation import ToolMessage, Turn
from durable_agent_team.contracts.team import Agent, Caller
from durable_agent_team.contracts.tool_box import ToolBox, ToolFacts
from durable_agent_team.contracts.tool_call import ToolOrder, ToolResult
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
        work = self._progress.tool_work
        return work.setdefault(conversation_id, ToolWork(user.subject, user.agent))

    async def run(
        self, user: ToolUser, conversation_id: str, turn_number: int, turn: Turn, box: ToolBox
    ) -> tuple[ToolMessage, ...]:
        """The results of a turn's calls, in the order of the calls. Between its return and the next
        `await`, the caller appends them to the conversation.

        May be called again for the same turn in the run's next execution: what has ended is not
        done again, and what waited waits again. Raises TaskFailed and TaskSkipped where nobody woke
        a parked call in time, and CancelledError in a run that starts nothing new.
        """
        work = self.work(user, conversation_id)
        facts = {each.name: each for each in box.tools}
        results = []
        for number, call in enumerate(turn.calls, start=1):
            if call.problem:
                results.append(ToolMessage(id=call.id, name=call.name, text=call.problem))
                continue
            key = f"{conversation_id}:{turn_number}.{number}"
            done = await self._made(user, key, facts[call.name], call.arguments)
            work.made[call.name] = work.made.get(call.name, 0) + 1
            if not done.is_error:
                work.succeeded[call.name] = work.succeeded.get(call.name, 0) + 1
            text = {"text": done.text} if done.text_ref is None else {"text_ref": done.text_ref}
            results.append(ToolMessage(id=call.id, name=call.name, **text))
        return tuple(results)

    async def _made(self, user: ToolUser, key: str, facts: ToolFacts, arguments: str) -> ToolResult:
        assert isinstance(user.caller, Agent)
        order = ToolOrder(
            agent=user.agent,
            task=user.subject,
            key=key,
            facts=facts,
            tool=user.caller.tools[facts.entry],
            arguments=arguments,
        )
        result: ToolResult = await self._activities.execute(
            ToolActivities.call_tool,
            order,
            {
                "start_to_close_timeout": timedelta(seconds=order.tool.timeout_seconds),
                "heartbeat_timeout": None,
                "retry_policy": RetryPolicy(maximum_attempts=1),
                "cancellation_type": ActivityCancellationType.TRY_CANCEL,
            },
            summary=f"{user.agent} · {user.subject} · {facts.source}",
        )
        return result

    def forget(self, conversation_id: str) -> None:
        """The conversation has ended, and is not shown any more."""
        self._progress.tool_work.pop(conversation_id, None)
