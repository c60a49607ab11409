"""A query, an activity's end and an update meet at a worker that has just taken the run over."""

import asyncio
import uuid
from collections.abc import Callable

import pytest
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.client import Client, WorkflowHandle, WorkflowUpdateStage
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, Worker, WorkflowRunner

from durable_agent_team.worker_sdk.cold_queries import (
    QUERY_WITHOUT_TASK,
    ColdQueryGuard,
    RunAheadDetector,
)
from durable_agent_team.worker_sdk.eviction import Eviction
from tests.support.temporal import server
from tests.worker_sdk.cold_workflow import Steps, step

ROUNDS = 12
AT_ONCE = 6


def deciding(client: Client, queue: str, runner: WorkflowRunner | None = None) -> Worker:
    """Runs workflow code only."""
    return Worker(
        client,
        task_queue=queue,
        workflows=[Steps],
        workflow_runner=runner or UnsandboxedWorkflowRunner(),
        no_remote_activities=True,
    )


async def until(handle: WorkflowHandle[Steps, int], *, pending: bool) -> None:
    while bool((await handle.describe()).raw_description.pending_activities) is not pending:
        await asyncio.sleep(0.05)


async def takeovers(client: Client, worker: Callable[[str], Worker]) -> list[bool]:
    """For each of some runs: whether the history that came of it can be replayed.

    While nobody decides, each run is asked something, its activity ends, and it is told something.
    """
    queue = f"cold-{uuid.uuid4()}"
    handles = [
        await client.start_workflow(Steps.run, id=f"cold-{uuid.uuid4()}", task_queue=queue)
        for _ in range(AT_ONCE)
    ]
    async with deciding(client, queue):
        for handle in handles:
            await until(handle, pending=True)
    asked = [asyncio.create_task(handle.query(Steps.look)) for handle in handles]
    await asyncio.sleep(0.5)
    async with Worker(client, task_queue=queue, activities=[step]):
        for handle in handles:
            await until(handle, pending=False)
        told = [
            asyncio.create_task(
                handle.start_update(Steps.touch, wait_for_stage=WorkflowUpdateStage.ACCEPTED)
            )
            for handle in handles
        ]
        await asyncio.sleep(0.5)
        async with worker(queue):
            await asyncio.wait_for(asyncio.gather(*asked, *told), 60)
            for handle in handles:
                assert await asyncio.wait_for(handle.result(), 60) == 3
    return [await replays(handle) for handle in handles]


async def replays(handle: WorkflowHandle[Steps, int]) -> bool:
    replayer = Replayer(workflows=[Steps], workflow_runner=UnsandboxedWorkflowRunner())
    result = await replayer.replay_workflow(
        await handle.fetch_history(), raise_on_replay_failure=False
    )
    return result.replay_failure is None


async def test_a_guarded_worker_records_what_can_be_replayed() -> None:
    evicted: list[str] = []

    async with server() as environment:

        def guarded(queue: str) -> Worker:
            evict = Eviction()

            def counted(run_id: str) -> None:
                evicted.append(run_id)
                evict(run_id)

            guard = ColdQueryGuard(UnsandboxedWorkflowRunner(), counted)
            worker = deciding(environment.client, queue, guard)
            evict.attach(worker)
            return worker

        for _ in range(ROUNDS):
            assert all(await takeovers(environment.client, guarded))
            if evicted:
                return
    pytest.fail("no query came before its run's next workflow task: nothing was tried")


async def test_the_guard_is_still_needed() -> None:
    """When this fails, the SDK was mended: `worker_sdk/cold_queries.py` can go."""
    async with server() as environment:

        def unguarded(queue: str) -> Worker:
            return deciding(environment.client, queue)

        for _ in range(ROUNDS):
            if not all(await takeovers(environment.client, unguarded)):
                return
    pytest.fail("every history could be replayed without the guard")


def activation(
    *jobs: str, at: int, replaying: bool = False, query: str = "1"
) -> WorkflowActivation:
    act = WorkflowActivation(is_replaying=replaying)
    act.timestamp.seconds = at
    for job in jobs:
        getattr(act.jobs.add(), job).SetInParent()
        if job == "query_workflow":
            act.jobs[-1].query_workflow.query_id = query
    return act


ALONE = activation("query_workflow", at=0, query=QUERY_WITHOUT_TASK)


def test_only_events_without_a_workflow_task_are_ahead() -> None:
    now = 1.0
    ahead = RunAheadDetector(lambda: now)
    assert not ahead.must_evict(activation("initialize_workflow", at=1, replaying=True))
    assert not ahead.must_evict(ALONE), "all that it has seen was replayed"
    assert not ahead.must_evict(activation("resolve_activity", at=1))
    assert not ahead.must_evict(activation("query_workflow", at=1)), "it came with a workflow task"
    assert ahead.must_evict(ALONE), "its time has stood still"
    now = 2.1
    assert not ahead.must_evict(activation("resolve_activity", at=2))
    assert not ahead.must_evict(ALONE), "its workflow task has come"


def test_a_workflow_task_without_an_activation_hides_nothing() -> None:
    """A replayed run whose last workflow task, at 2, had nothing to say; an event came after it."""
    ahead = RunAheadDetector(lambda: 3.5)
    ahead.must_evict(activation("initialize_workflow", at=1, replaying=True))
    ahead.must_evict(activation("resolve_activity", at=2))
    assert ahead.must_evict(ALONE)
