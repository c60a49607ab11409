"""Agents with tools: their turns, from the first request to the checked answer."""

import asyncio
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.exceptions import ApplicationError

from durable_agent_team.contracts.call import CallRequest, CallResult
from durable_agent_team.contracts.changes import AdjustAgent
from durable_agent_team.contracts.control import TaskCommand
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.names import WORKFLOW
from durable_agent_team.contracts.run import RunReport, RunStatus
from durable_agent_team.contracts.spend import LedgerAgreement
from durable_agent_team.contracts.tool_box import ToolBox
from durable_agent_team.contracts.tool_call import ListTools, ToolOrder, ToolResult
from tests.support.fakes import COST, exhausted
from tests.support.sandbox import run_worker
from tests.support.tools import Said, ToolWorld, box_of, calls, tool_result
from tests.workflows.runs import (
    continuing,
    executions,
    failing,
    failure_of,
    result_of,
    started,
    until,
)

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


def offers(world: ToolWorld) -> list[tuple[tuple[str, ...] | None, bool]]:
    """What each turn was offered, and whether it had to act."""
    found = [each.conversation for each in world.wholes]
    return [(each.offered, each.must_act) for each in found if each is not None]


def said_by_turn(*said: Said) -> Callable[[CallRequest], Said]:
    """What the model says in each turn; the last one again and again."""

    def says(call: CallRequest) -> Said:
        assert call.conversation is not None
        return said[min(call.conversation.turn, len(said)) - 1]

    return says


async def test_the_last_turn_must_answer(client: Client) -> None:
    world = ToolWorld(looks(2))
    await result_of(client, world, {"team": clerk(max_turns=3)})
    assert offers(world) == [(None, False), (None, False), ((), False)]


async def test_a_required_tool_comes_first_and_a_used_up_one_is_not_offered(
    client: Client,
) -> None:
    refund = {"python": "shop.tools:refund", "effects": "none", "required": True, "max_calls": 1}
    world = ToolWorld(said_by_turn(calls(("refund", {})), calls(("look", {"at": 2})), "refunded"))
    await result_of(client, world, {"team": clerk(LOOK, refund)})
    assert offers(world) == [(("refund",), True), (("look",), False), (("look",), False)]


async def test_a_required_tool_that_never_succeeds_fails_the_task_before_its_last_turn(
    client: Client,
) -> None:
    look = {**LOOK, "required": True}
    world = ToolWorld(
        lambda call: calls(("look", {"at": call.idempotency_key})),
        tool=lambda order: tool_result("no connection", is_error=True),
    )
    failure = await failure_of(client, world, {"team": clerk(look, max_turns=3)})
    assert "look" in failure.message
    assert len(world.wholes) == 2, "the last turn could not have answered"


async def test_a_rejected_answer_is_repaired_in_the_same_conversation(client: Client) -> None:
    world = ToolWorld(said_by_turn(calls(("look", {"at": 1})), "poor", "good"))
    answer = world.answer

    def judged(
        call: CallRequest, text: str | None = None, reasons: tuple[str, ...] = ()
    ) -> CallResult:
        result = answer(call, text, reasons)
        return result.model_copy(update={"reasons": ("too short",)}) if text == "poor" else result

    world.answer = judged  # type: ignore[method-assign]
    report = await result_of(client, world, {"team": clerk()})
    assert report.answer == "good"
    last = world.wholes[-1].conversation
    assert last is not None
    answered, why = [each.said for each in last.entries[-2:]]
    assert answered is not None
    assert why is not None
    assert (answered.role, answered.text) == ("assistant", "poor")
    assert "too short" in why.text
    (spend,) = [each for each in report.spend.agents if each.agent == "clerk"]
    assert (spend.useful_usd, spend.repairs_usd, spend.failed_attempts_usd) == (COST, COST, COST)


async def test_a_run_may_have_more_documents_than_a_task_reads(client: Client) -> None:
    documents = [f"d{n}.md" for n in range(1_001)]
    readers = [
        {"id": f"t{n}", "agent": "reader", "ask": "Read.", "inputs": documents[n : n + 50]}
        for n in range(0, len(documents), 50)
    ]
    base = clerk({"built_in": "search_documents", "effects": "none"})
    agents = {**base["agents"], "reader": {"role": "Reader", "budget_usd": 1}}
    team = {**base, "agents": agents, "tasks": [*base["tasks"], *readers]}

    def says(call: CallRequest) -> Said:
        is_first = call.conversation is not None and call.conversation.turn == 1
        return calls(("search_documents", {"query": "x"})) if is_first else "found"

    world = ToolWorld(says)
    start = {"team": team, "sources": dict.fromkeys(documents, "x")}
    report = await result_of(client, world, start)
    assert report.answer == "found"
    assert len(world.listed[0].documents) == len(world.orders[0].documents) == 1_001


async def test_tools_that_cannot_be_listed_park_their_task(client: Client) -> None:
    class Away(ToolWorld):
        away = True

        @activity.defn
        async def list_tools(self, wanted: ListTools) -> ToolBox:
            if self.away:
                raise ApplicationError(
                    "crm: connection refused",
                    type=ErrorType.TOOL_UNAVAILABLE.value,
                    non_retryable=True,
                )
            return box_of(wanted.tools)

    world = Away(looks(1))
    async with started(client, world, {"team": clerk()}) as handle:
        now = await until(handle, lambda state: bool(state.waiting))
        (waiting,) = now.waiting
        assert (waiting.subject, waiting.type) == ("refund", ErrorType.TOOL_UNAVAILABLE)
        assert "crm: connection refused" in waiting.reason
        assert not world.calls
        world.away = False
        await handle.execute_update("retry_task", TaskCommand(task="refund"))
        report = await handle.result()
    assert report.answer == "seen 1"


async def test_the_tools_of_an_agent_are_listed_once_for_all_its_tasks(client: Client) -> None:
    world = ToolWorld(looks(1))
    team = clerk()
    team["tasks"] = [{"id": f"t{n}", "agent": "clerk", "ask": "Look."} for n in range(4)]
    report = await result_of(client, world, {"team": team | {"result": "t3"}})
    assert report.status is RunStatus.COMPLETED
    assert len(world.listed) == 1
    ids = {each.conversation.id for each in world.wholes if each.conversation is not None}
    assert len(ids) == 4


@pytest.mark.parametrize("events", [10, 14, 17, 23])
async def test_a_conversation_continues_in_the_next_execution(client: Client, events: int) -> None:
    world = ToolWorld(looks(6))
    async with continuing(client, world, {"team": clerk()}, events=events) as handle:
        report = await handle.result()
        assert await executions(client, handle) > 1
    assert report.answer == "seen 6"
    assert report.spend.total.spent_usd == 7 * COST == report.spend.ledger_usd
    assert report.spend.ledger_agrees is LedgerAgreement.YES
    ids = {each.conversation.id for each in world.wholes if each.conversation is not None}
    assert len(ids) == 1
    results = [each.text for entry in world.entries("refund") for each in entry.results]
    assert results == [f"result of {turn}.1" for turn in range(1, 7)]
    assert len(world.listed) == 1


async def test_a_turn_without_money_falls_back_to_another_model(client: Client) -> None:
    world = ToolWorld(looks(2))
    price = world.catalog.models[0]
    small = price.model_copy(update={"model": "small", "tools": "none"})
    world.catalog = world.catalog.model_copy(update={"models": (price, small)})
    says = world.says

    def poor(call: CallRequest) -> Said:
        if call.conversation is not None and call.conversation.turn == 2 and call.model == "m":
            raise exhausted(COST, Decimal(0))
        return says(call)

    world.says = poor
    settings = {"on_exhausted": "fallback", "fallback_model": "small"}
    report = await result_of(client, world, {"team": clerk(**settings)})
    assert report.answer == "seen 2"
    other = [each for each in world.wholes if each.model == "small"]
    assert [each.conversation.native for each in other if each.conversation] == [False]
    assert world.wholes[-1].model == "m"


async def test_other_instructions_make_another_beginning_of_the_same_conversation(
    client: Client,
) -> None:
    world = ToolWorld(looks(2))
    handles: list[WorkflowHandle[Any, Any]] = []

    async def tool(order: ToolOrder) -> ToolResult:
        change = AdjustAgent(agent="clerk", instructions="Be kind.")
        if len(world.orders) == 1:
            await handles[0].execute_update("adjust_agent", change)
        return tool_result("seen")

    world.tool = tool
    async with started(client, world, {"team": clerk()}) as handle:
        handles.append(handle)
        report = await handle.result()
    assert report.answer == "seen 2"
    systems = ["Be kind." in each.system for each in world.wholes]
    assert systems == [False, True, True]
    assert world.misses == 0
    assert len(world.entries("refund")) == 4


async def test_a_task_that_is_done_again_has_another_conversation(client: Client) -> None:
    again, reached = asyncio.Event(), asyncio.Event()

    async def tool(order: ToolOrder) -> str:
        if order.task == "more":
            reached.set()
            await again.wait()
        return "seen"

    world = ToolWorld(looks(1), tool=tool)
    team = clerk()
    team["tasks"].append({"id": "more", "agent": "clerk", "ask": "More.", "depends_on": ["refund"]})
    async with started(client, world, {"team": team | {"result": "more"}}) as handle:
        await reached.wait()
        await handle.execute_update("retry_task", TaskCommand(task="refund"))
        again.set()
        report = await handle.result()
    assert report.status is RunStatus.COMPLETED
    of_task = [each.conversation for each in world.wholes if each.task == "refund"]
    assert len({each.id for each in of_task if each is not None}) == 2
    assert report.spend.total.spent_usd == report.spend.ledger_usd


async def test_a_task_that_failed_continues_its_conversation(client: Client) -> None:
    """What was paid, and what its tools have done, is not done again."""
    fails, retried = [True], asyncio.Event()

    async def tool(order: ToolOrder) -> str:
        if order.task == "other":
            await retried.wait()
        return "seen"

    world = ToolWorld(looks(2), tool=tool)
    says = world.says

    def breaks(call: CallRequest) -> Said:
        assert call.conversation is not None
        if call.task == "refund" and call.conversation.turn == 2 and fails:
            fails.clear()
            raise ApplicationError("bad", type=ErrorType.BAD_REQUEST.value, non_retryable=True)
        return says(call)

    world.says = breaks
    team = failing(clerk())
    team["tasks"].append({"id": "other", "agent": "clerk", "ask": "Wait."})
    async with started(client, world, {"team": team}) as handle:
        await until(handle, lambda now: any(each.status == "failed" for each in now.tasks))
        await handle.execute_update("retry_task", TaskCommand(task="refund"))
        retried.set()
        report = await handle.result()
    assert report.answer == "seen 2"
    of_task = [each.conversation for each in world.wholes if each.task == "refund"]
    assert len({each.id for each in of_task if each is not None}) == 1
    made = [order.key.split(":")[1] for order in world.orders if order.task == "refund"]
    assert made == ["1.1", "2.1"]


async def test_a_long_conversation_loses_its_oldest_results(client: Client) -> None:
    world = ToolWorld(looks(8), tool=lambda order: "x" * 2_000)
    world.catalog = world.catalog.model_copy(
        update={"models": (world.catalog.models[0].model_copy(update={"context_tokens": 8_000}),)}
    )
    report = await result_of(client, world, {"team": clerk(max_tokens=100)})
    assert report.answer == "seen 8"
    results = [each.text for entry in world.entries("refund") for each in entry.results]
    removed = [each for each in results if each == "[removed: 2000 bytes of look]"]
    assert removed
    assert results == removed + ["x" * 2_000] * (8 - len(removed))
    assert len(results) - len(removed) >= 3


def bounded(world: ToolWorld, most: int) -> list[int]:
    """A provider whose context has this many bytes of results; what it refused."""
    says, refused = world.says, list[int]()

    def strict(call: CallRequest) -> Said:
        assert call.conversation is not None
        entries = call.conversation.entries
        size = sum(len(each.text) for entry in entries for each in entry.results)
        if size > most:
            refused.append(size)
            kind = ErrorType.CONTEXT_EXCEEDED.value
            raise ApplicationError("prompt is too long", type=kind, non_retryable=True)
        return says(call)

    world.says = strict
    return refused


@pytest.mark.parametrize("most", [14_000, 5_000])
async def test_a_context_smaller_than_its_provider_says_makes_more_room(
    client: Client, most: int
) -> None:
    """What was refused unbilled is asked again under a new key, with less; each time that the
    conversation grows too large."""
    world = ToolWorld(looks(8), tool=lambda order: "x" * 2_000)
    refused = bounded(world, most)
    report = await result_of(client, world, {"team": clerk()})
    assert report.answer == "seen 8"
    assert 1 <= len(refused) <= 4
    assert report.spend.total.spent_usd == 9 * COST == report.spend.ledger_usd
    asked = [call.idempotency_key for call in world.wholes]
    assert len(asked) == len(set(asked)) == 9 + len(refused)
    made = [order.key.split(":")[1] for order in world.orders]
    assert made == [f"{number}.1" for number in range(1, 9)]


async def test_a_result_that_cannot_make_room_fails_the_task_and_says_why(client: Client) -> None:
    world = ToolWorld(looks(8), tool=lambda order: "x" * 2_000)
    refused = bounded(world, 1_000)
    failure = await failure_of(client, world, {"team": failing(clerk())})
    assert failure.type == "RunFailed"
    [report] = failure.details
    said = RunReport.model_validate(report).outcomes[0].task.failure
    assert said is not None
    assert said.type == ErrorType.CONTEXT_EXCEEDED
    assert "no other one can be removed: lower `max_result_bytes`" in said.message
    assert len(refused) == 1


async def test_fifty_turns_of_two_kilobytes_take_less_than_400_kb_of_history(
    client: Client,
) -> None:
    world = ToolWorld(looks(50), tool=lambda order: "x" * 2_000)
    async with started(client, world, {"team": clerk(max_turns=60)}) as handle:
        report = await handle.result()
        described = await handle.describe()
        history = await handle.fetch_history()
    assert report.answer == "seen 50"
    assert isinstance(report, RunReport)
    size = described.raw_description.workflow_execution_info.history_size_bytes
    assert size <= 400_000
    assert size / 50 <= 7_000
    assert len(history.events) < 50 * 14


async def test_a_conversation_survives_a_worker_that_keeps_nothing(client: Client) -> None:
    """Each workflow task replays the run from its history, and each turn is sent as a whole."""
    world = ToolWorld(looks(5), forgets=lambda call: True)
    queue = f"orchestrator-{uuid.uuid4()}"
    async with run_worker(client, queue, world.activities, max_cached_workflows=0):
        report = await client.execute_workflow(
            WORKFLOW,
            {"team": clerk()},
            id=f"run-{uuid.uuid4()}",
            task_queue=queue,
            result_type=RunReport,
        )
    assert report.answer == "seen 5"
    assert world.misses == 5
    assert report.spend.total.spent_usd == 6 * COST == report.spend.ledger_usd
    assert len(world.orders) == 5
