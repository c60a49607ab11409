"""Every workflow task that changes something leaves an event of its own, and none more than that.

Two workflow tasks in a row without one would count as one in a replay (docs/adr/016).
"""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.worker import Replayer

from durable_agent_team.contracts.call import CallRequest
from durable_agent_team.contracts.run import RunState, TaskStatus
from durable_agent_team.payloads.converter import DATA_CONVERTER
from tests.support.fakes import FakeWorld
from tests.support.run_reports import report_of
from tests.support.sandbox import strict_runner
from tests.workflows.runs import started, team, until
from workflows.orchestrator import Orchestrator
from workflows.state.task_marks import TIMER

MEMO = "WORKFLOW_PROPERTIES_MODIFIED"
MARKS = {"TIMER_STARTED", "TIMER_CANCELED", MEMO}
OF_TASKS = {f"WORKFLOW_TASK_{what}" for what in ("SCHEDULED", "STARTED", "COMPLETED")}
WIDE = [{"id": f"t{n}", "agent": "research", "ask": f"Number {n}."} for n in range(6)]


class OneByOne:
    """Holds the calls of all tasks until the test releases each."""

    def __init__(self, tasks: Sequence[str]) -> None:
        self.reached: asyncio.Queue[str] = asyncio.Queue()
        self.open = {task: asyncio.Event() for task in tasks}

    async def __call__(self, call: CallRequest) -> None:
        if call.task in self.open:
            self.reached.put_nowait(call.task)
            await self.open[call.task].wait()


async def events_of(handle: WorkflowHandle[Any, Any]) -> list[HistoryEvent]:
    return [event async for event in handle.fetch_history_events()]


def kind(event: HistoryEvent) -> str:
    return EventType.Name(event.event_type).removeprefix("EVENT_TYPE_")


def of_each_task(events: Sequence[HistoryEvent]) -> Iterator[list[str]]:
    """The kinds of the events that each completed workflow task has issued."""
    by_task: dict[int, list[str]] = {
        event.event_id: [] for event in events if kind(event) == "WORKFLOW_TASK_COMPLETED"
    }
    for event in events:
        attributes = getattr(event, event.WhichOneof("attributes") or "")
        issued_by = getattr(attributes, "workflow_task_completed_event_id", 0)
        if issued_by in by_task:
            by_task[issued_by].append(kind(event))
    yield from by_task.values()


async def replays(handle: WorkflowHandle[Any, Any]) -> None:
    replayer = Replayer(
        workflows=[Orchestrator], workflow_runner=strict_runner(), data_converter=DATA_CONVERTER
    )
    await replayer.replay_workflow(await handle.fetch_history())


def _done(shown: RunState) -> int:
    return sum(task.status is TaskStatus.DONE for task in shown.tasks)


async def finished_one_by_one(client: Client) -> WorkflowHandle[Any, Any]:
    gates = OneByOne([each["id"] for each in WIDE])
    given = team(tasks=WIDE, max_parallel=6, result=None)
    async with started(client, FakeWorld(gates), {"team": given}) as handle:
        for _ in WIDE:
            await gates.reached.get()
        for number, gate in enumerate(gates.open.values(), 1):
            gate.set()
            await until(handle, lambda shown, number=number: _done(shown) == number)  # type: ignore[misc]
        await handle.result()
    return handle


async def test_results_that_come_one_by_one_are_marked_by_a_timer(client: Client) -> None:
    handle = await finished_one_by_one(client)
    tasks = list(of_each_task(await events_of(handle)))
    assert all(tasks), "each has an event of its own"
    marked = [each for each in tasks if MARKS & set(each)]
    assert all(len(each) == 1 for each in marked), "no mark where there is another event"
    kinds = [mark for each in marked for mark in each]
    assert (
        kinds
        == ["TIMER_STARTED", "TIMER_CANCELED"] * (len(kinds) // 2) + kinds[len(kinds) // 2 * 2 :]
    )
    assert len(marked) == len(WIDE) - 1, "the last result starts the answer"
    await replays(handle)


async def test_a_run_that_was_started_without_the_format_is_marked_by_the_memo(
    client: Client,
) -> None:
    """As the Temporal CLI may start it, and as those that began before."""
    config = client.config()
    config["interceptors"] = []
    handle = await finished_one_by_one(Client(**config))
    tasks = list(of_each_task(await events_of(handle)))
    assert all(tasks)
    kinds = {each for task in tasks for each in task}
    assert MEMO in kinds
    assert "TIMER_STARTED" not in kinds
    await replays(handle)


async def test_the_result_of_an_activity_that_an_earlier_workflow_task_started(
    client: Client,
) -> None:
    gates = OneByOne(["t0"])
    async with started(client, FakeWorld(gates), {"team": team(tasks=WIDE, result=None)}) as handle:
        await gates.reached.get()
        await until(handle, lambda shown: _done(shown) == len(WIDE) - 1)
        before = len(list(of_each_task(await events_of(handle))))
        for usd in ("2", "3"):
            await handle.execute_update("adjust_budget", {"agent": "research", "budget_usd": usd})
        changes = list(of_each_task(await events_of(handle)))[before:]
        gates.open["t0"].set()
        await handle.result()
    assert changes[::2] == [["ACTIVITY_TASK_SCHEDULED"]] * 2
    assert all(len(each) == 1 and MARKS & set(each) for each in changes[1::2])
    await replays(handle)


async def test_a_mark_that_is_left_for_a_day_ends_in_another_one(skipping: Client) -> None:
    """Of a run that is parked until its own limit: the workflow task of the timer has an event."""
    gates = OneByOne(["t0", "t1"])

    async def refused_at_last(call: CallRequest) -> None:
        await gates(call)
        if call.task == "t1":
            raise ApplicationError("no", {"attempts": 1}, type="Forbidden", non_retryable=True)

    given = team(tasks=WIDE[:2], result=None)
    async with started(skipping, FakeWorld(refused_at_last), {"team": given}) as handle:
        for _ in gates.open:
            await gates.reached.get()
        gates.open["t0"].set()
        await until(handle, lambda shown: _done(shown) == 1)
        gates.open["t1"].set()
        await report_of(handle)
    events = await events_of(handle)
    began, fired = (
        next(event.event_time.ToDatetime() for event in events if kind(event) == wanted)
        for wanted in ("TIMER_STARTED", "TIMER_FIRED")
    )
    assert fired - began >= TIMER
    tasks = list(of_each_task(events))
    assert all(tasks)
    assert [MEMO] in tasks
    await replays(handle)
