"""Agents with tools: their turns, from the first request to the checked answer."""

from typing import Any

from temporalio.client import Client

from durable_agent_team.contracts.call import CallRequest
from durable_agent_team.contracts.run import RunStatus
from durable_agent_team.contracts.spend import LedgerAgreement
from tests.support.fakes import COST
from tests.support.tools import Said, ToolWorld, calls
from tests.workflows.test_life_of_a_run import result_of

LOOK = {"python": "shop.tools:look", "effects": "none"}


def clerk(*tools: Any, **settings: Any) -> dict[str, Any]:
    """A team of one agent with tools, and one task."""
    return {
        "name": "shop",
        "goal": "Serve the customer",
        "agents": {
            "clerk": {
                "role": "Back office",
                "budget_usd": 1,
                "tools": list(tools or [LOOK]),
                **settings,
            }
        },
        "tasks": [{"id": "refund", "agent": "clerk", "ask": "Refund order 7."}],
        "result": "refund",
        "final": "handoff",
    }


def looks(times: int) -> Any:
    """A model that looks so often, each time at something else, and then answers."""

    def says(call: CallRequest) -> Said:
        assert call.conversation is not None
        turn = call.conversation.turn
        return calls(("look", {"at": turn})) if turn <= times else f"seen {times}"

    return says


async def test_an_agent_calls_a_tool_and_answers(client: Client) -> None:
    world = ToolWorld(looks(2))
    report = await result_of(client, world, {"team": clerk()})
    assert report.status is RunStatus.COMPLETED
    assert report.answer == "seen 2"
    assert report.spend.total.spent_usd == 3 * COST == report.spend.ledger_usd
    assert report.spend.ledger_agrees is LedgerAgreement.YES
    assert [order.arguments for order in world.orders] == ['{"at": 1}', '{"at": 2}']
    turns = [entry for entry in world.entries("refund") if entry.turn is not None]
    results = [each.text for entry in world.entries("refund") for each in entry.results]
    assert len(turns) == 2
    assert results == ["result of 1.1", "result of 2.1"]


async def test_a_turn_carries_only_what_is_new(client: Client) -> None:
    world = ToolWorld(looks(3))
    await result_of(client, world, {"team": clerk()})
    first, *others = [each for each in world.calls if each.task == "refund"]
    assert first.conversation is not None
    assert first.conversation.base is None
    for number, call in enumerate(others, start=2):
        part = call.conversation
        assert part is not None
        assert (part.turn, len(part.entries), part.box) == (number, 2, None)
        assert (call.system, call.ask, call.sources) == ("", "", ())
    assert world.misses == 0
    keys = {call.idempotency_key for call in (first, *others)}
    assert len(keys) == 4


async def test_a_worker_that_has_forgotten_gets_all_of_it_under_the_same_key(
    client: Client,
) -> None:
    world = ToolWorld(looks(4), forgets=lambda call: True)
    report = await result_of(client, world, {"team": clerk()})
    assert report.answer == "seen 4"
    assert world.misses == 4
    assert report.spend.total.spent_usd == 5 * COST == report.spend.ledger_usd
    asked = [call for call in world.calls if call.task == "refund"]
    by_key = {call.idempotency_key: call for call in asked}
    assert len(asked) == 9
    assert len(by_key) == 5
    assert all(call.conversation and call.conversation.box for call in by_key.values())
