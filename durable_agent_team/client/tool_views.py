"""Pure: the calls of tools in a run's history as people see them, turn by turn."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from durable_agent_team.client.recorded_calls import RecordedCall
from durable_agent_team.client.recorded_tools import Decision, Expired, RecordedToolCall
from durable_agent_team.client.run_history import RunRecord
from durable_agent_team.contracts.approvals import TIME_LIMIT
from durable_agent_team.contracts.bounded_text import cut
from durable_agent_team.contracts.control import AnswerTask, Approve
from durable_agent_team.contracts.conversation import ToolCall, ToolMessage
from durable_agent_team.contracts.conversation_view import (
    ToolCallStatus,
    ToolCallView,
    TurnView,
)
from durable_agent_team.contracts.effects import EffectDecision
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.text_ref import TextRef
from durable_agent_team.contracts.tool_box import ToolFacts
from durable_agent_team.rules.tools.approval_rules import approved_sha256, plain_arguments

ZERO = Decimal(0)
ANSWERS = {
    EffectDecision.SKIP: ToolCallStatus.SKIPPED,
    EffectDecision.RESULT: ToolCallStatus.ANSWERED,
}


def asks_for_conversation(call: RecordedCall) -> bool:
    """Whether it is just the question for what its worker did not have: nothing was sent to the
    model, and the call follows under the same key."""
    return call.failure is not None and call.failure.startswith(ErrorType.UNKNOWN_BASE)


def is_turn(call: RecordedCall) -> bool:
    """Whether a call belongs to a conversation, and was sent."""
    return call.request.conversation is not None and not asks_for_conversation(call)


def tool_calls_of(record: RunRecord, call: RecordedCall) -> tuple[ToolCallView, ...]:
    """The calls of tools that one call of a model asked for."""
    asked, turn = call.request.conversation, call.result.turn if call.result else None
    if asked is None or turn is None:
        return ()
    results = _results(record, asked.id, asked.turn)
    made = _made(record, asked.id)
    facts = _facts(record, call.request.account.agent)
    meanwhile = _until_next_call(record, call)
    decisions = [each for each in record.tools.decisions if meanwhile(each.at)]
    expired = [each for each in record.tools.expired if meanwhile(each.at)]
    views: list[ToolCallView] = []
    for place, each in enumerate(turn.calls):
        number = f"{asked.turn}.{place + 1}"
        subject = f"{call.request.task}:{number}"
        views.append(
            _view(
                number,
                each,
                made.get(f"{asked.id}:{number}", ()),
                results[place] if place < len(results) else None,
                facts.get(each.name),
                [one for one in decisions if one.subject == subject],
                [one for one in expired if one.subject == subject],
            )
        )
    return tuple(views)


def with_live(views: Sequence[ToolCallView], turns: Sequence[TurnView]) -> tuple[ToolCallView, ...]:
    """The views, with how the calls that have not ended stand now, as the run itself says."""
    live = {view.number: view for turn in turns for view in turn.calls}
    return tuple(_live(view, live.get(view.number)) for view in views)


def _live(view: ToolCallView, now: ToolCallView | None) -> ToolCallView:
    if now is None or now.name != view.name:
        return view
    changes: dict[str, Any] = {
        "status": now.status,
        "approval": now.approval or view.approval,
        "note": now.note or view.note,
        "decided_by": view.decided_by or now.decided_by,
        "decided_at": view.decided_at or now.decided_at,
        "tainted": now.tainted,
        "reason": now.reason or view.reason,
        "started_at": now.started_at or view.started_at,
        "seconds": now.seconds if view.seconds is None else view.seconds,
        "charged_usd": max(now.charged_usd, view.charged_usd),
        "source": view.source or now.source,
        "effects": view.effects or now.effects,
    }
    return view.model_copy(update=changes)


def _view(
    number: str,
    asked: ToolCall,
    made: Sequence[RecordedToolCall],
    message: ToolMessage | None,
    facts: ToolFacts | None,
    decisions: Sequence[Decision],
    expired: Sequence[Expired],
) -> ToolCallView:
    last = made[-1] if made else None
    order = last.order if last is not None else None
    facts = order.facts if order is not None else facts
    result = last.result if last is not None else None
    limit = expired[-1] if expired else None
    counted = _counted(decisions, asked, last, facts, limit, has_ended=message is not None)
    approval = counted.message if counted and isinstance(counted.message, Approve) else None
    limit = limit if approval is None else None
    taken = [*([counted] if counted else ()), *_answers(decisions)]
    text = message.whole if message is not None else result.whole if result is not None else ""
    reference = text if isinstance(text, TextRef) else None
    return ToolCallView(
        number=number,
        id=asked.id,
        name=asked.name,
        source=facts.source if facts is not None else "",
        effects=facts.effects if facts is not None else None,
        arguments=order.arguments if order is not None else asked.arguments,
        status=_status(asked, last, message, taken, limit),
        approval=_approval(approval) if limit is None else "timed_out",
        note=approval.note if approval is not None else "",
        decided_by=taken[-1].by if taken else TIME_LIMIT if limit else "",
        decided_at=taken[-1].at if taken else limit.at if limit else None,
        reason=cut(asked.problem or (last.failure if last and last.failure else ""), 1_000),
        result=text if isinstance(text, str) else text.preview,
        result_ref=reference,
        bytes=result.bytes if result is not None else 0,
        started_at=result.started_at if result is not None else None,
        seconds=result.seconds if result is not None else None,
        charged_usd=sum((each.result.charged_usd for each in made if each.result), start=ZERO),
    )


def _counted(
    decisions: Sequence[Decision],
    asked: ToolCall,
    last: RecordedToolCall | None,
    facts: ToolFacts | None,
    limit: Expired | None,
    *,
    has_ended: bool,
) -> Decision | None:
    """What decided about the call. It is used up once, so of several the first has decided; but the
    history has a signal that was refused like one that was carried out. That is seen by what became
    of the call; an edit of one that was not made may have been either, and is left out."""
    given = [each for each in decisions if isinstance(each.message, Approve)]
    confirmed = next((each for each in given if each.confirmed), None)
    if confirmed is not None:
        return confirmed
    shown = approved_sha256(facts, asked.arguments) if facts is not None else None
    for each in given:
        said = each.message
        assert isinstance(said, Approve)
        is_late = limit is not None and each.at > limit.seen_at
        is_of_other = said.sha256 is not None and said.sha256 != shown
        if not is_late and not is_of_other and _became(said, last, has_ended=has_ended):
            return each
    return None


def _became(said: Approve, last: RecordedToolCall | None, *, has_ended: bool) -> bool:
    """Whether the call is what it would be after this answer; `last` is None where it was not
    made."""
    if last is None:
        return said.arguments is None and not (said.approved and has_ended)
    if not said.approved:
        return False
    if last.order is None:  # of a local activity
        return True
    if said.arguments is None or not last.order.edited:
        return said.arguments is None and not last.order.edited
    return last.order.arguments == plain_arguments(said.arguments)


def _answers(decisions: Sequence[Decision]) -> list[Decision]:
    """Those up to the one that has ended the call, after which every other one is refused."""
    given = [each for each in decisions if isinstance(each.message, AnswerTask)]
    ends = [each for each in given if _ends(each)]
    end = next((each for each in ends if each.confirmed), ends[0] if ends else None)
    return given if end is None else given[: given.index(end) + 1]


def _ends(given: Decision) -> bool:
    return isinstance(given.message, AnswerTask) and given.message.decision in ANSWERS


def _status(
    asked: ToolCall,
    last: RecordedToolCall | None,
    message: ToolMessage | None,
    decisions: Sequence[Decision],
    limit: Expired | None,
) -> ToolCallStatus:
    answers = [each.message for each in decisions if isinstance(each.message, AnswerTask)]
    approvals = [each.message for each in decisions if isinstance(each.message, Approve)]
    if last is not None and last.result is not None:
        return ToolCallStatus.FAILED if last.result.is_error else ToolCallStatus.DONE
    if answers and answers[-1].decision in ANSWERS:
        return ANSWERS[answers[-1].decision]
    if approvals and not approvals[-1].approved:
        return ToolCallStatus.REJECTED
    if limit is not None and last is None:
        return ToolCallStatus.REJECTED
    if asked.problem:
        return ToolCallStatus.NOT_RUN
    if message is not None:
        return ToolCallStatus.FAILED if message.failed else ToolCallStatus.DONE
    if last is None:
        return ToolCallStatus.READY
    return ToolCallStatus.PARKED if last.failure else ToolCallStatus.RUNNING


def _approval(given: Approve | None) -> Literal["", "approved", "edited", "rejected"]:
    if given is None:
        return ""
    if not given.approved:
        return "rejected"
    return "approved" if given.arguments is None else "edited"


def _results(record: RunRecord, conversation: str, turn: int) -> tuple[ToolMessage, ...]:
    """What the model got for the calls of a turn: in the request of the next one."""
    for call in record.calls:
        asked = call.request.conversation
        if asked is None or asked.id != conversation or asked.turn <= turn:
            continue
        found = [entry.results for entry in asked.entries if entry.results]
        if asked.turn == turn + 1 and found:
            return found[-1]
    return ()


def _made(record: RunRecord, conversation: str) -> Mapping[str, Sequence[RecordedToolCall]]:
    made: dict[str, list[RecordedToolCall]] = {}
    for each in record.tools.calls:
        if each.key.startswith(f"{conversation}:"):
            made.setdefault(each.key, []).append(each)
    return made


def _facts(record: RunRecord, agent: str) -> dict[str, ToolFacts]:
    boxes = [box for name, box in record.tools.boxes if name == agent]
    return {each.name: each for each in boxes[-1].tools} if boxes else {}


def _until_next_call(record: RunRecord, call: RecordedCall) -> Callable[[datetime], bool]:
    """Whether something happened between this turn and the task's next call."""
    since = call.ended_at
    if since is None:
        return lambda at: False
    later = [
        each.scheduled_at
        for each in record.of_task(call.request.task)
        if each.scheduled_at >= since and each is not call
    ]
    until = min(later, default=None)
    return lambda at: at >= since and (until is None or at <= until)
