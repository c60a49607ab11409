"""The turns of agents with tools: each is a paid call of its own, in one conversation for a task.

The conversation is in `Progress.conversations` until the task has its answer. It survives a retry
of a task that failed for another reason than its checks: what was paid, and what tools have done,
is not done again.
"""

import asyncio
from decimal import Decimal

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

from durable_agent_team.contracts.activity_interfaces import AgentActivities
from durable_agent_team.contracts.call import MAX_REJECTED, CallRequest, CallResult, Rejected
from durable_agent_team.contracts.conversation import Conversation, Said
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.model_catalog import ModelCatalog
from durable_agent_team.contracts.run import Failure
from durable_agent_team.contracts.team import Agent
from durable_agent_team.contracts.text_ref import preview_of
from durable_agent_team.contracts.tool_box import ToolBox
from durable_agent_team.rules.catalog import context_of, price_of
from durable_agent_team.rules.counts import counted
from durable_agent_team.rules.programs import run_of
from durable_agent_team.rules.repair_texts import repair_text
from durable_agent_team.rules.tools.compaction import KEPT_AT_LEAST, compacted, room_bytes
from durable_agent_team.rules.tools.conversation_forms import in_base_form
from durable_agent_team.rules.tools.conversation_hash import extended, head_hash
from durable_agent_team.rules.tools.conversation_size import entries_bytes, head_bytes
from durable_agent_team.rules.tools.offers import CallsSoFar, Offer, offer, unmet_tools
from workflows.activity_errors import failure_and_spend
from workflows.activity_executor import ActivityExecutor
from workflows.agent_spans import begin_agent_span, end_agent_span
from workflows.policies import ActivityOptions
from workflows.state.conversation import ConversationState
from workflows.state.open_call import OpenCall
from workflows.state.progress import Progress
from workflows.state.turn_record import TurnRecord
from workflows.task_exceptions import was_cancelled
from workflows.tasks.call_requests import Assignment
from workflows.tasks.tool_boxes import ToolBoxes
from workflows.tools.tool_calls import ToolCalls

COMPACTS_ON_OVERFLOW = "compact-on-overflow"
"""Runs from before this patch fail a task whose conversation does not fit the model's context."""
REQUIRED = "required-before-answer"
"""Runs from before this patch let an agent answer without a required tool, once that could not be
called any more."""


class Turns:
    """The conversations of a run. `PaidCalls` makes their calls, and decides what follows."""

    def __init__(
        self,
        progress: Progress,
        activities: ActivityExecutor,
        boxes: ToolBoxes,
        tool_calls: ToolCalls,
    ) -> None:
        self._progress = progress
        self._activities = activities
        self._boxes = boxes
        self._tool_calls = tool_calls

    def join(self, assignment: Assignment, call: OpenCall) -> None:
        """Gives the call its conversation, an open one or a new one, where its agent has tools."""
        if call.conversation is not None or not has_tools(assignment):
            return
        found = self._progress.conversations.get(assignment.subject)
        if found is None or found.agent != assignment.agent:
            found = ConversationState(str(workflow.uuid4()), assignment.agent)
            self._progress.conversations[assignment.subject] = found
        call.conversation = found
        begin_agent_span(found)

    def broke_off(self, assignment: Assignment, call: OpenCall, error: str) -> None:
        """The task has no answer for now; its conversation is continued if it is tried again."""
        state = call.conversation or self._progress.conversations.get(assignment.subject)
        if state is not None:
            end_agent_span(state, assignment.subject, error)

    def end(self, assignment: Assignment, call: OpenCall, error: str | None = None) -> None:
        """The conversation has led to an answer, or to none that passes its checks (`error`)."""
        conversations, subject = self._progress.conversations, assignment.subject
        if conversations.get(subject) is call.conversation:
            conversations.pop(subject, None)
        if call.conversation is not None:
            end_agent_span(call.conversation, subject, error)
            self._tool_calls.forget(call.conversation.id)
        call.conversation = None

    async def get_ready(self, assignment: Assignment, call: OpenCall) -> None:
        """Before a turn: lists the agent's tools, and makes the calls of the turn before. Raises
        TaskFailed, TaskSkipped and CancelledError."""
        self.join(assignment, call)
        state = call.conversation
        if state is None:
            return
        box = await self._boxes.ensure(assignment, call)
        if state.pending is not None:
            if self._progress.stopping or was_cancelled():
                raise asyncio.CancelledError
            results = await self._tool_calls.run(
                assignment, state.id, state.turns, state.pending, box
            )
            state.add_results(results)
            self._progress.changed()

    def cannot_answer(self, assignment: Assignment, call: OpenCall) -> Failure | None:
        """Why the next turn is not worth its money: a required tool has not succeeded, and cannot
        be called any more."""
        state, caller = call.conversation, assignment.caller
        if state is None or not isinstance(caller, Agent):
            return None
        is_last = state.turns + 1 >= caller.max_turns
        box = self._progress.tool_boxes[assignment.agent]
        so_far = self._so_far(assignment, state)
        unmet = unmet_tools(caller, box, so_far, is_last=is_last)
        if not unmet or not (is_last or workflow.patched(REQUIRED)):
            return None
        why = f"max_turns is {caller.max_turns}, and in the last one nothing can be called"
        if not is_last and so_far.repeats:
            why = "the same call was made again and again, so that nothing can be called any more"
        elif not is_last:
            why = "its max_calls are used up"
        return Failure(
            type=ErrorType.CHECK_FAILED,
            message=f"{' or '.join(unmet)} is required, and no call of it has succeeded in"
            f" {counted(state.turns, 'turn')}; {why}"[:2000],
        )

    def took(self, call: OpenCall, request: CallRequest, result: CallResult) -> None:
        """A paid answer has come. Without an `await` before it: nothing that was paid is lost."""
        state, asked = call.conversation, request.conversation
        if state is None or asked is None:
            return
        record = TurnRecord(
            model=request.model,
            cost_usd=result.cost_usd,
            usage=result.usage,
            started_at=result.started_at,
            thinking=preview_of(result.thinking_ref or result.thinking),
        )
        state.answered(asked.whole, len(asked.entries), record)
        if result.turn is not None:
            state.add_turn(result.turn)
            call.next_turn()

    def reject(self, assignment: Assignment, call: OpenCall, rejected: Rejected) -> None:
        """An answer has failed its checks: the next turn has it, with the reasons."""
        call.next_answer(rejected)
        state = call.conversation
        if state is None:
            return
        call.rejected = None
        answer = Said(role="assistant", text=rejected.answer[: MAX_REJECTED + 1])
        if rejected.answer_ref is not None:
            answer = Said(role="assistant", text_ref=rejected.answer_ref)
        why = repair_text(rejected.reasons, assignment.output)
        state.add_rejected(answer, Said(role="user", text=why))

    def conversation(
        self, assignment: Assignment, call: OpenCall, model: str, catalog: ModelCatalog
    ) -> Conversation | None:
        """What the next request has of it, in the whole form. Old results make room first."""
        state = call.conversation
        if state is None:
            return None
        price = price_of(catalog, model)
        native = price is None or price.tools != "none"
        box = self._progress.tool_boxes[assignment.agent]
        head = head_bytes(assignment, box, native=native)
        size = head + entries_bytes(state.entries)
        room = room_bytes(context_of(assignment.caller, price))
        if state.refused_bytes is not None:
            room = min(room, state.refused_bytes // 2)
        smaller = compacted(state.entries, size, room, state.kept_results)
        if smaller != state.entries:
            state.replace(smaller)
            size = head + entries_bytes(smaller)
        self._hash(state, head_hash(assignment, box.sha256, native=native))
        offered = self._offer(assignment, state, box)
        optional = {
            "offered": offered.names,
            "must_act": offered.must_act or None,
            "native": None if native else False,
            "trace": (state.span.trace or None) if state.span else None,
        }
        return Conversation(
            id=state.id,
            turn=state.turns + 1,
            entries=tuple(state.entries),
            whole=state.hash,
            box=box,
            prompt_bytes=size,
            **{name: value for name, value in optional.items() if value is not None},
        )

    def make_room(self, call: OpenCall, failure: Failure, size: int) -> bool:
        """After a prompt of `size` bytes that did not fit the model's context: old results are
        removed until it has a quarter of that, first all but the last three, then all but the last
        one. Returns False where there is nothing to remove."""
        state = call.conversation
        if state is None or failure.type != ErrorType.CONTEXT_EXCEEDED:
            return False
        refused = min(size, state.refused_bytes or size)
        for kept in (state.kept_results, KEPT_AT_LEAST):
            if compacted(state.entries, size, refused // 2, kept) != state.entries:
                if not workflow.patched(COMPACTS_ON_OVERFLOW):
                    return False
                state.refused_bytes, state.kept_results = refused, kept
                return True
        return False

    def without_room(self, call: OpenCall, failure: Failure) -> Failure:
        """The failure, which says so where old results were removed, and that was not enough."""
        state = call.conversation
        is_about_room = failure.type == ErrorType.CONTEXT_EXCEEDED
        if state is None or not is_about_room or not any(each.results for each in state.entries):
            return failure
        more = (
            "; of its tools' results, no other one can be removed: lower `max_result_bytes` of the"
            " tools, shorten the inputs, or use a model with a larger context"
        )
        return failure.model_copy(update={"message": f"{failure.message[:1_700]}{more}"})

    def _hash(self, state: ConversationState, head: str) -> None:
        """Brings the conversation's hash up to date. With another head, nobody has it."""
        if state.head != head:
            state.head, state.base = head, None
            state.hash, state.hashed = "", 0
        state.hash = extended(state.hash or head, state.entries[state.hashed :])
        state.hashed = len(state.entries)

    def _offer(self, assignment: Assignment, state: ConversationState, box: ToolBox) -> Offer:
        caller = assignment.caller
        assert isinstance(caller, Agent)
        so_far = self._so_far(assignment, state)
        return offer(caller, box, so_far, is_last=state.turns + 1 >= caller.max_turns)

    def _so_far(self, assignment: Assignment, state: ConversationState) -> CallsSoFar:
        work = self._tool_calls.work(assignment, state.id)
        return CallsSoFar(work.made, work.succeeded, work.repeats)

    async def execute(
        self,
        request: CallRequest,
        call: OpenCall,
        options: ActivityOptions,
        *,
        summary: str,
    ) -> tuple[CallResult, Decimal]:
        """One activity, with what is new; and where its worker does not have what was before,
        another one with all of it, under the same key. Returns also what attempts before have cost
        that the result does not know of. Raises ActivityError and NotIssued."""
        state = call.conversation
        spent = Decimal(0)
        if state is not None and state.base is not None:
            part = in_base_form(request, state.base, state.base_entries)
            try:
                result = await self._activities.execute(
                    AgentActivities.call_agent, part, options, summary=summary
                )
                return result, spent
            except ActivityError as error:
                if not is_unknown_base(error):
                    raise
                state.base = None
                spent = failure_and_spend(error)[1].spent_usd
        result = await self._activities.execute(
            AgentActivities.call_agent, request, options, summary=summary
        )
        return result, spent


def has_tools(assignment: Assignment) -> bool:
    """Whether the task's agent works in turns."""
    caller = assignment.caller
    return isinstance(caller, Agent) and bool(caller.tools) and run_of(caller) is None


def is_unknown_base(error: ActivityError) -> bool:
    cause = error.__cause__
    return isinstance(cause, ApplicationError) and cause.type == ErrorType.UNKNOWN_BASE
