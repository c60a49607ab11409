"""What is too large for Temporal fails its own task, or goes out over several workflow tasks."""

import asyncio
from collections import Counter
from typing import Any

from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Replayer

from durable_agent_team.contracts.call import CallRequest, CallResult
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.run import RunStatus, TaskStatus
from durable_agent_team.contracts.spend import LedgerAgreement
from durable_agent_team.payloads.converter import DATA_CONVERTER
from tests.support.fakes import COST, FakeWorld
from tests.support.run_reports import report_of
from tests.support.sandbox import strict_runner
from tests.workflows.runs import result_of, started, team
from workflows.orchestrator import Orchestrator

ROWS = '"12","Yes","No"\n'
MOST_OF_A_WORKFLOW_TASK = 3_000_000


def reading(text: str, count: int, **changes: Any) -> dict[str, Any]:
    """A start input with this many tasks, each of which reads the document."""
    agents = {"research": {"role": "Researcher", "budget_usd": 1000, "inputs": ["doc"]}}
    tasks = [{"id": f"t{n}", "agent": "research", "ask": "List."} for n in range(count)]
    return {
        "team": team(agents=agents, tasks=tasks, result="t0", max_parallel=count, **changes),
        "sources": {"doc": text},
    }


async def bytes_by_workflow_task(handle: WorkflowHandle[Any, Any]) -> Counter[int]:
    """Of the activities that each workflow task started."""
    sizes: Counter[int] = Counter()
    async for event in handle.fetch_history_events():
        if event.HasField("activity_task_scheduled_event_attributes"):
            attributes = event.activity_task_scheduled_event_attributes
            sizes[attributes.workflow_task_completed_event_id] += attributes.ByteSize()
    return sizes


async def test_large_calls_start_in_order_over_several_workflow_tasks(client: Client) -> None:
    """Twenty tasks that read 220 KB: together their commands would end the run."""
    world = FakeWorld()
    async with started(client, world, reading("x" * 220_000, 20)) as handle:
        report = await handle.result()
        sizes = await bytes_by_workflow_task(handle)
        history = await handle.fetch_history()
    assert report.status is RunStatus.COMPLETED
    assert report.spend.ledger_agrees is LedgerAgreement.YES
    assert max(sizes.values()) < MOST_OF_A_WORKFLOW_TASK
    in_order = [call.task for call in world.calls]
    assert set(in_order[:9]) == {f"t{n}" for n in range(9)}
    replayer = Replayer(
        workflows=[Orchestrator], workflow_runner=strict_runner(), data_converter=DATA_CONVERTER
    )
    await replayer.replay_workflow(history)


async def test_calls_that_wait_for_their_turn_are_cancelled_unpaid(client: Client) -> None:
    """The run is cancelled while most of its commands are still held back."""
    reached, gate = asyncio.Event(), asyncio.Event()

    async def hold(call: CallRequest) -> None:
        reached.set()
        await gate.wait()

    world = FakeWorld(hold)
    async with started(client, world, reading("x" * 900_000, 20)) as handle:
        await reached.wait()
        await handle.signal("cancel", {"reason": "enough"})
        gate.set()
        report = await report_of(handle)
    assert report.status is RunStatus.CANCELLED
    assert report.spend.ledger_agrees is LedgerAgreement.YES
    assert report.spend.total.reserved_usd == 0


async def test_hand_offs_that_do_not_fit_as_json_fail_only_the_task_that_reads_them(
    client: Client,
) -> None:
    """Twenty hand-offs of 60 KB of quotation marks: 1.2 MB as text, 2.4 MB as JSON."""
    quotes = '"' * 60_000

    def rule(call: CallRequest) -> CallResult | None:
        return world.answer(call, quotes) if call.task.startswith("t") else None

    world = FakeWorld(rule)
    many = [{"id": f"t{n}", "agent": "research", "ask": "List."} for n in range(20)]
    all_of_them = [task["id"] for task in many]
    tasks = [
        *many,
        {"id": "sum", "agent": "editor", "ask": "Sum up.", "depends_on": all_of_them},
        {"id": "other", "agent": "editor", "ask": "Write."},
    ]
    changed = team(tasks=tasks, result="other")
    report = await result_of(client, world, {"team": changed})
    states = {each.task.id: each.task for each in report.outcomes}
    assert report.status is RunStatus.COMPLETED
    assert states["sum"].status is TaskStatus.FAILED
    assert states["sum"].failure is not None
    assert states["sum"].failure.type == ErrorType.CONTEXT_EXCEEDED
    assert "as JSON" in states["sum"].failure.message
    assert "2000000" in states["sum"].failure.message
    assert report.spend.total.spent_usd == 22 * COST, "the task was not paid for"


async def test_a_hand_off_and_documents_of_rows_are_refused_before_paying(client: Client) -> None:
    rows = ROWS * (190_000 // len(ROWS))

    def rule(call: CallRequest) -> CallResult | None:
        return world.answer(call, rows) if call.task == "a" else None

    world = FakeWorld(rule)
    agents = {
        "research": {"role": "Researcher", "budget_usd": 1},
        "editor": {"role": "Editor", "budget_usd": 100, "inputs": ["one", "two"]},
    }
    tasks = [
        {"id": "a", "agent": "research", "ask": "List."},
        {"id": "b", "agent": "editor", "ask": "Sum up.", "depends_on": ["a"]},
    ]
    documents = {each: ROWS * (640_000 // len(ROWS)) for each in ("one", "two")}
    changed = team(agents=agents, tasks=tasks, result="a")
    report = await result_of(client, world, {"team": changed, "sources": documents})
    failed = report.outcomes[1].task.failure
    assert failed is not None
    assert failed.type == ErrorType.CONTEXT_EXCEEDED
    assert [call.task for call in world.calls] == ["a", "answer"]


async def test_answers_of_control_characters_end_in_a_report(client: Client) -> None:
    """Each character takes six bytes, so that the two hand-offs alone are more than a payload."""
    answer = "\x01" * 200_000
    world = FakeWorld(lambda call: world.answer(call, answer))
    tasks = [{"id": name, "agent": "research", "ask": "List."} for name in ("a", "b")]
    changed = team(tasks=tasks, result="a", final="handoff")
    report = await result_of(client, world, {"team": changed})
    assert report.status is RunStatus.COMPLETED
    assert report.answer == answer, "the answer comes before the hand-offs"
    assert all(each.output_cut for each in report.outcomes)
