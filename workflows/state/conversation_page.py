"""The answer of the query `conversation`: the turns of a task, and how its calls stand."""

from collections.abc import Iterator
from typing import Any

from durable_agent_team.contracts.conversation import ToolCall, ToolMessage, Turn
from durable_agent_team.contracts.conversation_view import (
    SHOWN_IN_VIEW,
    TURNS_PER_PAGE,
    ConversationPage,
    ConversationQuery,
    ToolCallStatus,
    ToolCallView,
    TurnView,
)
from durable_agent_team.contracts.text_ref import preview_of
from durable_agent_team.rules.encoded_size import cut_to_bytes
from workflows.state.conversation import ConversationState
from workflows.state.progress import Progress
from workflows.state.room import Room
from workflows.state.tool_work import ToolCallState, ToolWork
from workflows.state.turn_record import TurnRecord

MAX_BYTES = 56_000
"""The size of a page's turns as JSON."""
MOST_NAME = 100
"""Bytes of a name that a model made up, and of an id."""

Asked = tuple[int, Turn, tuple[ToolMessage, ...]]
"""The number of a turn, what was said in it, and the results of its calls, if they are there."""


def conversation_page(progress: Progress, query: ConversationQuery) -> ConversationPage:
    """The turns of a task's open conversation; none where it has no open one. Of the newest turns
    all calls, of those before as many as there is room for."""
    state = progress.conversations.get(query.task)
    if state is None:
        return ConversationPage(task=query.task, page=query.page)
    work = progress.tool_work.get(state.id)
    asked = list(_asked(state))
    first = (query.page - 1) * TURNS_PER_PAGE
    shown = asked[first : first + TURNS_PER_PAGE]
    room = Room(MAX_BYTES)
    turns = [_turn(state, work, each, room) for each in reversed(shown)]
    return ConversationPage(
        task=query.task,
        turns=tuple(reversed(turns)),
        turns_total=len(asked),
        page=query.page,
        tainted=work is not None and work.tainted,
    )


def _asked(state: ConversationState) -> Iterator[Asked]:
    """The turns in which tools were called. Answers that failed their checks count, too."""
    number = 0
    for place, entry in enumerate(state.entries):
        if entry.said is not None and entry.said.role == "assistant":
            number += 1
        if entry.turn is None:
            continue
        number += 1
        after = state.entries[place + 1 : place + 2]
        yield number, entry.turn, after[0].results if after else ()


def _turn(state: ConversationState, work: ToolWork | None, asked: Asked, room: Room) -> TurnView:
    number, turn, results = asked
    known = work.calls if work is not None else {}
    views = [
        _call(f"{number}.{place}", turn, place - 1, results, known.get(f"{number}.{place}"))
        for place in range(1, len(turn.calls) + 1)
    ]
    return TurnView(
        turn=number,
        conversation=state.id,
        **_paid(state.log[number - 1]) if number <= len(state.log) else {},
        content=room.shortened(turn.content[:SHOWN_IN_VIEW], SHOWN_IN_VIEW),
        calls=room.messages(views),
    )


def _paid(record: TurnRecord) -> dict[str, Any]:
    return {
        "model": record.model,
        "cost_usd": record.cost_usd,
        "usage": record.usage,
        "thinking": cut_to_bytes(record.thinking, SHOWN_IN_VIEW),
        "started_at": record.started_at,
    }


def _call(
    number: str,
    turn: Turn,
    place: int,
    results: tuple[ToolMessage, ...],
    known: ToolCallState | None,
) -> ToolCallView:
    asked = turn.calls[place]
    result = results[place] if place < len(results) else known.result if known else None
    arguments = asked.arguments
    more: dict[str, Any] = {}
    if known is not None:
        arguments = asked.arguments if known.edited is None else known.edited
        reason = known.parked_after.message if known.parked_after is not None else known.reason
        more = {
            "source": known.source,
            "effects": known.effects,
            "approval": known.approval,
            "note": cut_to_bytes(known.note, SHOWN_IN_VIEW),
            "decided_by": known.decided_by,
            "decided_at": known.decided_at,
            "tainted": known.tainted,
            "reason": cut_to_bytes(reason, SHOWN_IN_VIEW),
            "bytes": known.result_bytes,
            "started_at": known.started_at,
            "seconds": known.seconds,
            "charged_usd": known.charged_usd,
        }
    return ToolCallView(
        number=number,
        id=cut_to_bytes(asked.id, MOST_NAME),
        name=cut_to_bytes(asked.name, MOST_NAME),
        arguments=cut_to_bytes(arguments, SHOWN_IN_VIEW),
        status=known.status if known is not None else _status(asked, result),
        result="" if result is None else cut_to_bytes(preview_of(result.whole), SHOWN_IN_VIEW),
        **{name: value for name, value in more.items() if value not in (None, "", False)},
    )


def _status(asked: ToolCall, result: ToolMessage | None) -> ToolCallStatus:
    """For a call of an earlier turn."""
    if asked.problem:
        return ToolCallStatus.NOT_RUN
    return ToolCallStatus.FAILED if result is not None and result.failed else ToolCallStatus.DONE
