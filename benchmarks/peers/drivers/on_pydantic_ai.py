"""Pydantic AI on Temporal: client and worker in one process, on the tuned dev server of the others.

The worker has the options that our own has, as far as they are Temporal's.
"""

# mypy: disable-error-code="import-not-found"
# The packages are in the peer's own environment.

import asyncio
import os
from datetime import timedelta

from temporalio.client import Client
from temporalio.worker import Worker

from benchmarks.peers.drivers.wire import Job, Options, serve

MAX_CACHED = 1_000


class PydanticAI:
    def __init__(self, client: Client, worker: Worker) -> None:
        self._client = client
        self._queue = worker.task_queue
        self._running = asyncio.create_task(worker.run())

    async def run(self, job: Job, run_id: str) -> None:
        tasks = [vars(task) for task in job]
        done = await self._client.execute_workflow(
            "TeamWorkflow", args=[tasks], id=run_id, task_queue=self._queue, result_type=int
        )
        assert done == len(job)

    async def resume(self, job: Job, run_id: str) -> None:
        """Temporal continues the run as soon as a worker is available."""
        handle = self._client.get_workflow_handle(run_id, result_type=int)
        assert await handle.result() == len(job)

    async def open(self, job: Job, run_id: str) -> None:
        tasks = [vars(task) for task in job]
        await self._client.start_workflow(
            "WaitingWorkflow", args=[tasks], id=run_id, task_queue=self._queue
        )

    async def answer(self, job: Job, run_id: str) -> None:
        handle = self._client.get_workflow_handle(run_id, result_type=int)
        await handle.signal("approve")
        assert await handle.result() == len(job)


async def make(options: Options) -> PydanticAI:
    os.environ["PEERS_UPSTREAM"] = options.upstream
    os.environ["PEERS_API_KEY"] = options.api_key
    os.environ["PEERS_TRANSPORT"] = options.transport
    os.environ["PEERS_HEARTBEAT"] = str(options.heartbeat_seconds)
    # Imported only now: the module makes its agent from these.
    from pydantic_ai.durable_exec.temporal import PydanticAIPlugin  # noqa: PLC0415

    from benchmarks.peers.drivers.pydantic_ai_workflow import (  # noqa: PLC0415
        TeamWorkflow,
        WaitingWorkflow,
    )

    client = await Client.connect(options.temporal, plugins=[PydanticAIPlugin()])
    worker = Worker(
        client,
        task_queue=f"peers-{options.name}",
        workflows=[TeamWorkflow, WaitingWorkflow],
        max_cached_workflows=MAX_CACHED,
        max_concurrent_activities=600,
        max_eager_activity_reservations_per_workflow_task=100,
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=1),
        # Without, a run of 500 agents never ends: starting them takes one workflow task longer
        # than the 2 s after which the SDK calls it a deadlock and starts it again.
        debug_mode=True,
    )
    return PydanticAI(client, worker)


if __name__ == "__main__":
    serve(make, ("pydantic-ai-slim", "openai", "temporalio", "httpx"))
