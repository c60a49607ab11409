"""Pydantic AI's agent with tools on Temporal: client and worker in one process."""

# mypy: disable-error-code="import-not-found"
# The packages are in the peer's own environment.

import asyncio
import os
from datetime import timedelta

from temporalio.client import Client
from temporalio.worker import Worker

from benchmarks.peers.drivers.wire import Job, Options, serve

MAX_CACHED = 1_000


class PydanticAITools:
    """A job is one task, whose ask orders the turns."""

    def __init__(self, client: Client, worker: Worker) -> None:
        self._client = client
        self._queue = worker.task_queue
        self._running = asyncio.create_task(worker.run())

    async def run(self, job: Job, run_id: str) -> None:
        await self._client.execute_workflow(
            "ToolsWorkflow", job[0].ask, id=run_id, task_queue=self._queue, result_type=str
        )

    async def resume(self, job: Job, run_id: str) -> None:
        """Temporal continues the run as soon as a worker is available."""
        await self._client.get_workflow_handle(run_id).result()

    open = answer = run


async def make(options: Options) -> PydanticAITools:
    os.environ["PEERS_UPSTREAM"] = options.upstream
    os.environ["PEERS_API_KEY"] = options.api_key
    os.environ["PEERS_TRANSPORT"] = options.transport
    os.environ["PEERS_HEARTBEAT"] = str(options.heartbeat_seconds)
    os.environ["PEERS_TOOL_ATTEMPTS"] = str(options.tool_attempts)
    os.environ["PEERS_TOOL_SECONDS"] = str(options.tool_seconds)
    # Imported only now: the module makes its agent from these.
    from pydantic_ai.durable_exec.temporal import PydanticAIPlugin  # noqa: PLC0415

    from benchmarks.peers.drivers.pydantic_ai_tools import ToolsWorkflow  # noqa: PLC0415

    client = await Client.connect(options.temporal, plugins=[PydanticAIPlugin()])
    worker = Worker(
        client,
        task_queue=f"peers-{options.name}",
        workflows=[ToolsWorkflow],
        max_cached_workflows=MAX_CACHED,
        max_concurrent_activities=600,
        max_eager_activity_reservations_per_workflow_task=100,
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=1),
        debug_mode=True,  # as in on_pydantic_ai
    )
    return PydanticAITools(client, worker)


if __name__ == "__main__":
    serve(make, ("pydantic-ai-slim", "openai", "temporalio"))
