"""Makes the calls of a turn: in parallel, each approved and paid for, no effect twice."""

import asyncio
from collections.abc import Sequence

from durable_agent_team.contracts.conversation import ToolCall, ToolMessage, Turn
from durable_agent_team.contracts.conversation_view import ToolCallStatus
from durable_agent_team.contracts.run import TaskStatus
from durable_agent_team.contracts.team import Agent
from durable_agent_team.contracts.tool_box import ToolBox, ToolFacts
from durable_agent_team.rules.tools.call_identity import call_identity
from durable_agent_team.rules.tools.taint import begins_tainted
from workflows.activity_executor import ActivityExecutor
from workflows.people.approval import Approval
from workflows.people.parking import Parking
from workflows.state.progress import Progress
from workflows.state.tool_work import MAX_EQUAL_CALLS, WAITS_FOR_PERSON, ToolCallState, ToolWork
from workflows.tools.call_maker import CallMaker, Places
from workflows.tools.call_texts import MADE_TOO_OFTEN, unknown_tool, used_up
from workflows.tools.one_call import OneCall, ToolUser


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
        self._maker = CallMaker(progress, activities, parking, approval, places, self._show)

    def work(self, user: ToolUser, conversation_id: str) -> ToolWork:
        """What the tools of this conversation have done: `made`, `succeeded` and `repeats` say
        which tools the next turn is offered."""
        found = self._progress.tool_work.get(conversation_id)
        if found is None:
            tainted = self._begins_tainted(user)
            if tainted:
                self._progress.tainted_tasks.add(user.subject)
            found = ToolWork(user.subject, user.agent, conversation_id, tainted)
            self._progress.tool_work[conversation_id] = found
        return found

    def _begins_tainted(self, user: ToolUser) -> bool:
        task = self._progress.tasks.schedule.tasks.get(user.subject)
        if task is None or not isinstance(user.caller, Agent):
            return True
        progress = self._progress
        return begins_tainted(task, user.caller, progress.tainted_tasks, progress.tainted_asks)

    async def run(
        self, user: ToolUser, conversation_id: str, turn_number: int, turn: Turn, box: ToolBox
    ) -> tuple[ToolMessage, ...]:
        """The results of a turn's calls, in the order of the calls. Between its return and the next
        `await`, the caller appends them to the conversation.

        May be called again for the same turn, in the run's next execution or after a retry of the
        task: what has ended is not done again, and what waited waits again. Raises TaskFailed and
        TaskSkipped where nobody woke a parked call in time, and CancelledError in a run that starts
        nothing new.
        """
        work = self.work(user, conversation_id)
        if work.turn != turn_number:
            work.turn, work.repeats = turn_number, False
            self._open(user, work, turn, box)
        facts = {each.name: each for each in box.tools}
        made: list[OneCall] = []
        for number, call in enumerate(turn.calls, 1):
            name = f"{turn_number}.{number}"
            state = work.calls[name]
            if not state.has_ended and state.same_as is None:
                made.append(OneCall(user, work, state, name, call, facts[call.name], box))
        await self._all(made)
        return self._results(work, turn, turn_number)

    def forget(self, conversation_id: str) -> None:
        """The conversation has ended, and is not shown any more."""
        self._progress.tool_work.pop(conversation_id, None)

    def _open(self, user: ToolUser, work: ToolWork, turn: Turn, box: ToolBox) -> None:
        """Decides, once for the turn, which of its calls are made."""
        facts = {each.name: each for each in box.tools}
        seen: dict[str, str] = {}
        for index, call in enumerate(turn.calls, 1):
            number = f"{work.turn}.{index}"
            found = facts.get(call.name)
            state = ToolCallState(name=call.name, tainted=work.tainted)
            if found is not None:
                state.source, state.effects = found.source, found.effects
            work.calls[number] = state
            identity = call_identity(call)
            if found is not None and identity in seen and not call.problem:
                state.same_as = seen[identity]
                continue
            why = self._why_not(user, work, call, found, box, identity)
            if why or found is None:
                result = ToolMessage(id=call.id, name=call.name, text=why)
                state.end(ToolCallStatus.NOT_RUN, result, why)
                continue
            seen[identity] = number
            work.made[call.name] = work.made.get(call.name, 0) + 1
            work.equal[identity] = work.equal.get(identity, 0) + 1

    def _why_not(
        self,
        user: ToolUser,
        work: ToolWork,
        call: ToolCall,
        facts: ToolFacts | None,
        box: ToolBox,
        identity: str,
    ) -> str:
        """Why a call is not made, in words for the model; empty if it is."""
        if call.problem:
            return call.problem
        if facts is None:
            return unknown_tool(call.name, box)
        if work.equal.get(identity, 0) >= MAX_EQUAL_CALLS:
            work.repeats = True
            return MADE_TOO_OFTEN
        assert isinstance(user.caller, Agent)
        most = user.caller.tools[facts.entry].max_calls
        if most is not None and work.made.get(call.name, 0) >= most:
            return used_up(most)
        return ""

    async def _all(self, calls: Sequence[OneCall]) -> None:
        """Makes the calls, each in a task of its own. Where one of them ends the agent's task, the
        others are cancelled, in their order: it must be the same in every replay."""
        tasks: list[asyncio.Task[None]] = []

        def one_ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and task.exception() is not None:
                for each in tasks:
                    if each is not task:
                        each.cancel()

        for each in calls:
            task = asyncio.create_task(self._maker.make(each))
            task.add_done_callback(one_ended)
            tasks.append(task)
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        problems = [each for each in ended if isinstance(each, BaseException)]
        for problem in problems:
            if not isinstance(problem, asyncio.CancelledError):
                raise problem
        if problems:
            raise problems[0]

    def _results(self, work: ToolWork, turn: Turn, number: int) -> tuple[ToolMessage, ...]:
        """In the order of the calls, with the ids of each; the states let go of them."""
        results: list[ToolMessage] = []
        for index, call in enumerate(turn.calls, 1):
            state = work.calls[f"{number}.{index}"]
            same = state if state.same_as is None else work.calls[state.same_as]
            assert same.result is not None
            state.status = same.status
            results.append(same.result.model_copy(update={"id": call.id}))
        for state in work.of_turn(number):
            state.result = None
        return tuple(results)

    def _show(self, work: ToolWork) -> None:
        """The task is parked while nothing of its turn can continue without a person. A
        conversation that was given up, since its task is done again, says nothing about it."""
        if self._progress.tool_work.get(work.conversation) is not work:
            return
        calls = [state for state in work.of_turn(work.turn) if state.same_as is None]
        is_open = [each for each in calls if not each.has_ended]
        if is_open and all(each.status in WAITS_FOR_PERSON for each in is_open):
            self._progress.tasks.parked(work.task)
        elif self._progress.tasks.schedule.status.get(work.task) is TaskStatus.PARKED:
            self._progress.tasks.resumed(work.task)
        self._progress.changed()
