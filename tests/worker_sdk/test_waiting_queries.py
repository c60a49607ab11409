"""A query comes with a workflow task, and is answered while a local activity ends."""

import asyncio
import uuid
from concurrent.futures import ThreadPoolExecutor

from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.client import Client
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, Worker, WorkflowRunner

from durable_agent_team.worker_sdk.cold_queries import QUERY_WITHOUT_TASK
from durable_agent_team.worker_sdk.waiting_queries import (
    LONGEST_WAIT,
    LocalActivitiesInFlight,
    WaitingQueries,
)
from tests.support.temporal import server
from tests.worker_sdk.asked_workflow import BEING_ASKED, Asked, ends_while_asked


async def asked(client: Client, runner: WorkflowRunner) -> bool:
    """Whether the history can be replayed of a run that was told something and asked something
    while it had no worker: both come with one workflow task."""
    queue = f"asked-{uuid.uuid4()}"
    BEING_ASKED.clear()
    handle = await client.start_workflow(Asked.run, id=queue, task_queue=queue)
    async with Worker(
        client,
        task_queue=queue,
        workflows=[Asked],
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_cached_workflows=0,  # else its next task waits for this worker for a while
    ):
        await handle.query(Asked.look)
    BEING_ASKED.clear()
    await handle.signal(Asked.tell)
    looking = asyncio.create_task(handle.query(Asked.look))
    await asyncio.sleep(0.3)
    with ThreadPoolExecutor() as threads:
        async with Worker(
            client,
            task_queue=queue,
            workflows=[Asked],
            activities=[ends_while_asked],
            activity_executor=threads,
            workflow_runner=runner,
        ):
            assert await asyncio.wait_for(handle.result(), 20)
            assert await asyncio.wait_for(looking, 20) == 1, "it is answered later"
    replayer = Replayer(workflows=[Asked], workflow_runner=UnsandboxedWorkflowRunner())
    history = await handle.fetch_history()
    replayed = await replayer.replay_workflow(history, raise_on_replay_failure=False)
    return replayed.replay_failure is None


async def test_a_query_that_waits_leaves_a_history_that_replays() -> None:
    async with server() as environment:
        assert await asked(environment.client, WaitingQueries(UnsandboxedWorkflowRunner()))


async def test_queries_still_have_to_wait() -> None:
    """When this fails, the SDK was mended: `worker_sdk/waiting_queries.py` can go."""
    async with server() as environment:
        assert not await asked(environment.client, UnsandboxedWorkflowRunner())


def query(query_id: str = "1") -> WorkflowActivation:
    act = WorkflowActivation()
    act.jobs.add().query_workflow.query_id = query_id
    return act


def resolved(seq: int) -> WorkflowActivation:
    act = WorkflowActivation()
    act.jobs.add().resolve_activity.seq = seq
    return act


def commands(*local: int, ends: bool = False) -> WorkflowActivationCompletion:
    completion = WorkflowActivationCompletion()
    for seq in local:
        completion.successful.commands.add().schedule_local_activity.seq = seq
    if ends:
        completion.successful.commands.add().complete_workflow_execution.SetInParent()
    return completion


def test_only_queries_with_a_workflow_task_wait_for_local_activities() -> None:
    now = 0.0
    in_flight = LocalActivitiesInFlight(lambda: now)
    assert not in_flight.must_wait(query()), "nothing is in flight"
    in_flight.update(WorkflowActivation(), commands(1, 2))
    assert in_flight.must_wait(query())
    assert not in_flight.must_wait(query(QUERY_WITHOUT_TASK)), "it ends no workflow task"
    assert not in_flight.must_wait(resolved(1))
    in_flight.update(resolved(1), commands())
    assert in_flight.must_wait(query())
    now = LONGEST_WAIT + 0.1
    assert not in_flight.must_wait(query()), "this one may take long"
    in_flight.update(resolved(2), commands(3))
    assert in_flight.must_wait(query())
    in_flight.update(resolved(4), commands(ends=True))
    assert not in_flight.must_wait(query()), "its workflow has ended"
