"""A run continues as new, at any moment, and ends as it would have in one execution."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client
from temporalio.common import RetryPolicy
from temporalio.worker import UnsandboxedWorkflowRunner

from durable_agent_team.client.run_executions import read_executions
from durable_agent_team.client.run_history import read_record
from durable_agent_team.client.runs import RunSummary, get_run, list_runs
from durable_agent_team.contracts.accounts import Capabilities
from durable_agent_team.contracts.call import AccountRef, CallRequest
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.run import RunRequest, RunState, RunStatus, TaskStatus
from durable_agent_team.contracts.spend import LedgerAgreement
from durable_agent_team.contracts.team import Task
from tests.support.fakes import COST, FakeWorld
from tests.support.temporal import running_worker
from tests.support.worlds import OnceEach
from tests.workflows.runs import (
    Gate,
    continuing,
    executions,
    failure_of,
    start_on,
    started,
    team,
    until,
)
from workflows.continuation import EVENTS_MEMO, MANY
from workflows.start import _is_continued
from workflows.state.progress import Progress
from workflows.state.snapshot import UnreadableSnapshot, snapshot_of


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
    world = OnceEach(seconds=0.05)
    world.capabilities = Capabilities(replay=replay, ledger=True, transfer=True)
    async with continuing(
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


async def test_a_run_that_gets_large_signals_continues_as_new_before_its_history_is_too_large(
    client: Client,
) -> None:
    """Temporal ends a run at 50 MB of history. A call that lasts is taken up."""

    def refused(count: int, now: RunState) -> bool:
        return len(now.refusals) == count

    gate = Gate("a")
    async with started(client, OnceEach(gate), {"team": team()}) as handle:
        await gate.reached.wait()
        for number in range(12):
            await handle.signal("none", {"large": "x" * 1_500_000})
            await until(handle, partial(refused, number + 1))
        described = await handle.describe()
        assert described.raw_description.workflow_execution_info.history_size_bytes < 10_000_000
        gate.open.set()
        assert (await handle.result()).status is RunStatus.COMPLETED
        assert await executions(client, handle) > 1


async def test_a_state_that_could_not_be_read_is_not_handed_on(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next execution would fail its workflow task forever, and no signal would reach it."""

    def unreadable(_: object) -> Progress:
        raise UnreadableSnapshot("tasks.plan.tasks.2999.depends_on: too long")

    monkeypatch.setattr("workflows.continuation.progress_of", unreadable)
    world = OnceEach()
    async with running_worker(client, world.activities, UnsandboxedWorkflowRunner()) as queue:
        handle = await start_on(client, queue, {"team": wide(12)}, memo={EVENTS_MEMO: 15})
        report = await handle.result()
        assert await executions(client, handle) == 1
    assert report.status is RunStatus.COMPLETED


async def test_calls_that_soon_end_are_waited_for(client: Client) -> None:
    """Of many calls in flight one would end while the run continues as new. The server would reject
    that, and the whole history would be replayed."""
    world = OnceEach(seconds=0.1)
    payload = {"team": wide(40) | {"max_parallel": 20}}
    async with continuing(client, world, payload, events=60) as handle:
        await handle.result()
        histories = await read_executions(client, handle.id)
    failed = EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
    assert len(histories) > 1
    assert not [event for events in histories for event in events if event.event_type == failed]
    assert len(world.calls) == len(world.made) == 42, "no call was taken up"


async def test_many_calls_that_last_are_taken_up(client: Client) -> None:
    opened = asyncio.Event()
    lasting = {f"t{number}" for number in range(MANY + 2)}

    async def hold(call: CallRequest) -> None:
        if call.task in lasting:
            await opened.wait()

    world = OnceEach(hold)
    payload = {"team": wide(30) | {"max_parallel": 20}}
    async with continuing(client, world, payload, events=30) as handle:
        while await executions(client, handle) == 1:
            await asyncio.sleep(0.1)
        opened.set()
        await handle.result()
    assert len(world.made) == 32
    assert len(world.calls) >= 32 + len(lasting), "they were taken up"


async def test_readers_see_one_run(client: Client) -> None:
    """In the list, by its handle, and in the record of its calls, of which each is there once."""
    world = OnceEach(seconds=0.05)
    payload = {"team": wide(8) | {"max_parallel": 4}}
    async with continuing(client, world, payload, events=12) as handle:
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


async def test_updates_and_signals_find_the_run_at_every_moment(client: Client) -> None:
    """Each one is carried out once, whichever execution gets it."""
    gate = Gate("t0")
    world = OnceEach(gate)
    payload = {"team": wide(6) | {"max_parallel": 3}}
    added = [f"more{number}" for number in range(8)]
    async with continuing(client, world, payload, events=12) as handle:
        await gate.reached.wait()
        run = get_run(client, handle.id)
        for number, name in enumerate(added):
            task = Task(id=name, agent="editor", ask="One more.")
            if number % 2:
                added_by_signal = {"kind": "add_task", **task.model_dump(exclude_unset=True)}
                await handle.signal("adjust", added_by_signal)
            else:
                assert (await run.add_task(task)).task == name
            await run.pause()
            limits = await run.adjust_run(max_parallel=2 + number % 2)
            assert limits.max_parallel == 2 + number % 2
            await run.resume()
        gate.open.set()
        report = await handle.result()
        assert await executions(client, handle) > 3
    status = {each.task.id: each.task.status for each in report.outcomes}
    assert set(added) < set(status)
    assert set(status.values()) == {TaskStatus.DONE}
    assert max(Counter(world.made).values()) == 1
    assert report.spend.ledger_agrees is LedgerAgreement.YES


async def test_no_run_can_be_started_with_the_state_of_another(client: Client) -> None:
    """It is a start input with wrong keys: the run ends before it spends from any account."""
    state = Progress("other", datetime.now(UTC), RunRequest.model_validate({"team": team()}))
    ref = AccountRef(agent="research", account_id="of another run", sealed_key="sealed")
    state.account_refs["research"] = ref
    world = FakeWorld()
    error = await failure_of(client, world, snapshot_of(state))
    assert error.type == ErrorType.INVALID_INPUT
    assert "state: no such key" in error.message
    assert not world.books
    assert not world.calls


def test_what_the_second_execution_of_a_schedule_starts_with_is_a_request() -> None:
    """Temporal says of it, too, that it continues another execution."""
    info = SimpleNamespace(continued_run_id="before", cron_schedule=None, retry_policy=None)
    assert _is_continued(info)  # type: ignore[arg-type]
    for more in ({"cron_schedule": "* * * * *"}, {"retry_policy": RetryPolicy()}):
        again = SimpleNamespace(**{**vars(info), **more})
        assert not _is_continued(again)  # type: ignore[arg-type]
