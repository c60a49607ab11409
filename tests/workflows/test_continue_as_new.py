"""A run continues as new, at any moment, and ends as it would have in one execution."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle

from durable_agent_team.client.run_history import read_record
from durable_agent_team.client.runs import RunSummary, get_run, list_runs
from durable_agent_team.contracts.names import WORKFLOW
from durable_agent_team.contracts.run import RunReport, RunStatus, TaskStatus
from durable_agent_team.contracts.spend import Capabilities, LedgerAgreement
from tests.support.fakes import COST, FakeWorld
from tests.support.temporal import running_worker
from tests.workflows.test_life_of_a_run import team
from workflows.continuation import EVENTS_MEMO

Handle = WorkflowHandle[Any, Any]


@asynccontextmanager
async def started(
    client: Client, world: FakeWorld, payload: Any, *, events: int
) -> AsyncIterator[Handle]:
    """A run that continues as new after so many events of each execution."""
    async with running_worker(client, world.activities) as queue:
        yield await client.start_workflow(
            WORKFLOW,
            payload,
            id=f"run-{uuid.uuid4()}",
            task_queue=queue,
            result_type=RunReport,
            memo={EVENTS_MEMO: events},
        )


async def executions(client: Client, handle: Handle) -> int:
    """How many executions of the workflow the run had."""
    history = await client.get_workflow_handle(handle.id).fetch_history()
    number = 1
    while before := (
        history.events[0].workflow_execution_started_event_attributes.continued_execution_run_id
    ):
        number += 1
        history = await client.get_workflow_handle(handle.id, run_id=before).fetch_history()
    return number


class OnceEach(FakeWorld):
    """Answers a key again that it has answered before, as a gateway does, and counts the calls that
    it made itself."""

    def __init__(self, seconds: float = 0) -> None:
        super().__init__()
        self.made: list[str] = []
        self._answers: dict[str, asyncio.Task[Any]] = {}
        self._seconds = seconds
        self.rule = self._answer_once

    async def _answer_once(self, call: Any) -> Any:
        key = call.idempotency_key
        if key not in self._answers:
            self.made.append(call.task)
            self._answers[key] = asyncio.create_task(self._answer(call))
        return await asyncio.shield(self._answers[key])

    async def _answer(self, call: Any) -> Any:
        await asyncio.sleep(self._seconds)
        return self.answer(call)


def wide(tasks: int) -> dict[str, Any]:
    names = [f"t{number}" for number in range(tasks)]
    return team(
        tasks=[
            *({"id": name, "agent": "research", "ask": "Find it."} for name in names),
            {"id": "last", "agent": "editor", "ask": "Join it.", "depends_on": names},
        ],
        result="last",
    )


@pytest.mark.parametrize("replay", [True, False], ids=["replays", "does not replay"])
async def test_a_run_that_continues_as_new_ends_as_in_one_execution(
    client: Client, replay: bool
) -> None:
    world = OnceEach(0.05)
    world.capabilities = Capabilities(replay=replay, ledger=True, transfer=True)
    async with started(
        client, world, {"team": wide(12) | {"max_parallel": 4}}, events=15
    ) as handle:
        report = await handle.result()
        assert await executions(client, handle) > 2
    assert report.status is RunStatus.COMPLETED
    assert report.answer == "answer of answer"
    assert {each.task.status for each in report.outcomes} == {TaskStatus.DONE}
    assert {each.task.calls for each in report.outcomes} == {1}
    assert report.spend.total.spent_usd == 14 * COST == report.spend.ledger_usd
    assert report.spend.ledger_agrees is LedgerAgreement.YES
    assert sorted(world.made) == sorted([*(f"t{n}" for n in range(12)), "last", "answer"])


async def test_readers_see_one_run(client: Client) -> None:
    """In the list, by its handle, and in the record of its calls, of which each is there once."""
    world = OnceEach(0.05)
    payload = {"team": wide(8) | {"max_parallel": 4}}
    async with started(client, world, payload, events=12) as handle:
        run = get_run(client, handle.id)
        changes = [change async for change in run.changes()]
        report = await run.result()
        count = await executions(client, handle)
        record = await read_record(client, handle.id)
        listed = [each async for each in _listed(client, handle.id)]
    assert count > 2
    assert changes[-1].event == "workflow_execution_completed"
    assert sorted(call.request.task for call in record.calls) == sorted(world.made)
    assert all(call.result is not None for call in record.calls)
    assert {call.cost_usd for call in record.calls} == {COST}
    assert len(record.accounts) == 3
    assert not record.is_partial
    assert report.started_at - record.started_at < timedelta(seconds=1)
    assert report.started_at == await run.started_at()
    assert [each.started_at for each in listed] == [report.started_at]


async def _listed(client: Client, id: str) -> AsyncIterator[RunSummary]:
    for _ in range(100):  # the list is a moment behind
        found = [each for each in await list_runs(client, limit=100) if each.workflow_id == id]
        if [each.status for each in found] == ["completed"]:
            break
        await asyncio.sleep(0.1)
    for each in found:
        yield each
