"""The query `conversation`: every turn with its money, and never more than a page holds."""

from datetime import UTC, datetime
from decimal import Decimal

from durable_agent_team.contracts.conversation import ToolCall, ToolMessage, Turn
from durable_agent_team.contracts.conversation_view import ConversationQuery, ToolCallStatus
from durable_agent_team.rules.encoded_size import encoded_bytes
from workflows.state.conversation import ConversationState
from workflows.state.conversation_page import conversation_page
from workflows.state.progress import Progress
from workflows.state.tool_work import ToolCallState, ToolWork
from workflows.state.turn_record import TurnRecord

AT = datetime(2026, 11, 28, 12, tzinfo=UTC)


def talking(turns: int, calls: int = 1, size: int = 1) -> Progress:
    """A task whose last turn has no results yet."""
    state = ConversationState("c1", "clerk")
    for number in range(1, turns + 1):
        made = [
            ToolCall(id=f"{number}.{n}", name="look", arguments=f'{{"at": "{"ä" * size}"}}')
            for n in range(calls)
        ]
        state.answered("0" * 64, 0, TurnRecord("m", Decimal("0.01"), started_at=AT))
        state.add_turn(Turn(content="ä" * size, calls=tuple(made)))
        if number < turns:
            results = [ToolMessage(id=each.id, name="look", text="ä" * size) for each in made]
            state.add_results(tuple(results))
    progress = Progress("run-1", AT)
    progress.conversations["refund"] = state
    running = ToolCallState(name="look", source="shop:look", status=ToolCallStatus.RUNNING)
    work = ToolWork("refund", "clerk", "c1", tainted=True, turn=turns)
    work.calls[f"{turns}.1"] = running
    progress.tool_work["c1"] = work
    return progress


def test_each_turn_has_its_money_and_its_calls() -> None:
    page = conversation_page(talking(3), ConversationQuery(task="refund"))
    assert [(each.turn, each.cost_usd, each.model) for each in page.turns] == [
        (1, Decimal("0.01"), "m"),
        (2, Decimal("0.01"), "m"),
        (3, Decimal("0.01"), "m"),
    ]
    assert [each.calls[0].status for each in page.turns] == ["done", "done", "running"]
    assert page.turns[0].calls[0].result == "ä"
    assert page.turns[2].calls[0].source == "shop:look"
    assert (page.turns_total, page.tainted) == (3, True)


def test_pages_follow_each_other() -> None:
    progress = talking(45)
    pages = [
        conversation_page(progress, ConversationQuery(task="refund", page=number))
        for number in (1, 2, 3, 4)
    ]
    turns = [each.turn for page in pages for each in page.turns]
    assert turns == list(range(1, 46))
    assert {page.turns_total for page in pages} == {45}


def test_a_page_is_bounded_whatever_is_said() -> None:
    page = conversation_page(talking(20, calls=32, size=10_000), ConversationQuery(task="refund"))
    assert len(page.turns) == 20
    assert encoded_bytes(page) < 64_000


def test_a_task_without_a_conversation_has_no_turns() -> None:
    page = conversation_page(talking(1), ConversationQuery(task="other"))
    assert (page.turns, page.turns_total) == ((), 0)
