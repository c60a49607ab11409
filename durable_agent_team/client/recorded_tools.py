"""What a run's history has of the tools of its agents: the calls, and what people decided."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from pydantic import ValidationError
from temporalio.api.common.v1 import Payloads
from temporalio.api.history.v1 import HistoryEvent

from durable_agent_team.client.attempts import failure_text
from durable_agent_team.client.recorded_activities import RecordedActivity
from durable_agent_team.contracts.approvals import MAX_DECIDER
from durable_agent_team.contracts.control import AnswerTask, Approve
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.tool_box import ToolBox
from durable_agent_team.contracts.tool_call import ListTools, ToolOrder, ToolResult
from durable_agent_team.contracts.tool_kinds import Effects
from durable_agent_team.rules.ended_run import Acted
from durable_agent_team.rules.tools.approval_rules import subject_of_limit

T = TypeVar("T")
Decode = Callable[[Payloads | None, type[T]], Awaitable[T]]
CALL, LISTING = "call_tool", "list_tools"
DECISIONS: dict[str, type[Approve] | type[AnswerTask]] = {"approve": Approve, "answer": AnswerTask}


@dataclass(frozen=True)
class RecordedToolCall:
    """One activity of a call of a tool; a call that was sent again has several."""

    key: str
    """The conversation's id, the turn, and the number in the turn: `ID:3.1`."""
    order: ToolOrder | None
    """None of a local activity, whose input no history has."""
    result: ToolResult | None
    failure: str | None
    scheduled_at: datetime
    ended_at: datetime | None
    may_have_run: bool = True
    """False where it ended, and nothing was sent."""


@dataclass(frozen=True)
class Decision:
    """What a person sent to the run, and the run took."""

    at: datetime
    message: Approve | AnswerTask
    identity: str = ""
    """The identity of the client that sent it, as Temporal has it."""
    confirmed: bool = False
    """It was an update, which was carried out. A signal may have been refused."""

    @property
    def by(self) -> str:
        """Who decided, as the sender says."""
        return (self.message.by or self.identity)[:MAX_DECIDER]

    @property
    def subject(self) -> str:
        return self.message.subject if isinstance(self.message, Approve) else self.message.task


@dataclass(frozen=True)
class Expired:
    """A time limit of an approval that has passed."""

    at: datetime
    subject: str
    seen_at: datetime
    """When a worker came to it: what was sent before counts."""


@dataclass(frozen=True)
class RecordedTools:
    """Everything about tools in a run's history."""

    calls: tuple[RecordedToolCall, ...] = ()
    boxes: tuple[tuple[str, ToolBox], ...] = ()
    """The agents, and their tools as they were listed."""
    decisions: tuple[Decision, ...] = ()
    expired: tuple[Expired, ...] = ()


NO_TOOLS: Final = RecordedTools()


async def recorded_tools(
    activities: Iterable[RecordedActivity],
    events: Iterable[HistoryEvent],
    decode: "Decode[Any]",
) -> RecordedTools:
    """Reads what these activities and events have of tools."""
    calls: list[RecordedToolCall] = []
    boxes: list[tuple[str, ToolBox]] = []
    for each in activities:
        if each.name == CALL:
            calls.append(await _call(each, decode))
        elif each.name == LISTING and each.result is not None and each.input.payloads:
            wanted = await decode(each.input, ListTools)
            boxes.append((wanted.agent, await decode(each.result, ToolBox)))
    known = tuple(events)
    decisions, expired = await _decisions(known, decode), await _expired(known, decode)
    return RecordedTools(tuple(calls), tuple(boxes), tuple(decisions), tuple(expired))


async def _call(done: RecordedActivity, decode: "Decode[Any]") -> RecordedToolCall:
    order = await decode(done.input, ToolOrder) if done.input.payloads else None
    result = await decode(done.result, ToolResult) if done.result is not None else None
    failure = None
    if done.failure is not None:
        failure = failure_text(done.failure)
    elif done.how == "canceled":
        failure = "cancelled"
    return RecordedToolCall(
        key=order.key if order is not None else result.key if result is not None else "",
        order=order,
        result=result,
        failure=failure,
        scheduled_at=done.scheduled_at,
        ended_at=done.ended_at,
        may_have_run=_may_have_run(done),
    )


def _may_have_run(done: RecordedActivity) -> bool:
    """As the run itself judges it, of a tool with effects: once (`workflows.tools.outcomes`)."""
    if done.failure is None:
        return done.how != "canceled"
    if done.failure.HasField("application_failure_info"):
        return done.failure.application_failure_info.type == ErrorType.EFFECT_UNKNOWN.value
    lost = done.failure.timeout_failure_info
    return bool(lost.last_heartbeat_details.payloads)


def acted(tools: RecordedTools) -> tuple[Acted, ...]:
    """Each call of a tool with effects: once that has run, or may have."""
    found: dict[str, Acted] = {}
    for call in tools.calls:
        order = call.order
        if order is None or order.facts.effects is not Effects.ONCE or not call.may_have_run:
            continue
        known = call.result is not None
        found[call.key] = Acted(order.task, order.facts.source, order.arguments, known)
    return tuple(found.values())


async def _decisions(events: Iterable[HistoryEvent], decode: "Decode[Any]") -> list[Decision]:
    """Updates that were carried out, and signals."""
    found: list[Decision] = []
    accepted: dict[int, tuple[datetime, str, Payloads, str]] = {}
    for event in events:
        at = event.event_time.ToDatetime(UTC)
        if event.HasField("workflow_execution_update_accepted_event_attributes"):
            asked = event.workflow_execution_update_accepted_event_attributes.accepted_request
            accepted[event.event_id] = (
                at,
                asked.input.name,
                asked.input.args,
                asked.meta.identity,
            )
        elif event.HasField("workflow_execution_update_completed_event_attributes"):
            done = event.workflow_execution_update_completed_event_attributes
            if done.outcome.HasField("success") and done.accepted_event_id in accepted:
                at, name, args, who = accepted.pop(done.accepted_event_id)
                found += await _decision(at, name, args, who, decode)
        elif event.HasField("workflow_execution_signaled_event_attributes"):
            signal = event.workflow_execution_signaled_event_attributes
            if signal.signal_name == "adjust":
                found += await _adjusted(at, signal.input, signal.identity, decode)
    return found


async def _expired(events: Iterable[HistoryEvent], decode: "Decode[Any]") -> list[Expired]:
    """Timers say by their summaries what they end. Their ids begin anew in each execution."""
    found: list[Expired] = []
    waits: dict[str, HistoryEvent] = {}
    unseen = 0
    for event in events:
        if event.HasField("workflow_task_started_event_attributes"):
            seen_at = event.event_time.ToDatetime(UTC)
            found[unseen:] = [replace(each, seen_at=seen_at) for each in found[unseen:]]
            unseen = len(found)
        elif event.HasField("timer_started_event_attributes"):
            waits[event.timer_started_event_attributes.timer_id] = event
        elif event.HasField("timer_fired_event_attributes"):
            begun = waits.get(event.timer_fired_event_attributes.timer_id)
            if begun is not None and begun.user_metadata.HasField("summary"):
                payloads = Payloads(payloads=[begun.user_metadata.summary])
                subject = subject_of_limit(await decode(payloads, str))
                at = event.event_time.ToDatetime(UTC)
                found += [Expired(at, subject, seen_at=at)] if subject else []
    return found


async def _decision(
    at: datetime, name: str, args: Payloads, who: str, decode: "Decode[Any]"
) -> Sequence[Decision]:
    kind = DECISIONS.get(name)
    if kind is None or not args.payloads:
        return ()
    try:
        return (Decision(at, await decode(args, kind), who, confirmed=True),)
    except (ValidationError, ValueError):
        return ()


async def _adjusted(
    at: datetime, args: Payloads, who: str, decode: "Decode[Any]"
) -> Sequence[Decision]:
    try:
        given = await decode(args, dict[str, Any])
        kind = DECISIONS[given.pop("kind")]
        return (Decision(at, kind.model_validate(given), who),)
    except (ValidationError, ValueError, KeyError, AttributeError, IndexError, TypeError):
        return ()
