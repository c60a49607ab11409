"""The OpenAI Agents SDK on Temporal's own plugin: client and worker in one process."""

# mypy: disable-error-code="import-not-found, arg-type"
# The packages are in the peer's own environment.

import asyncio
from datetime import timedelta

from agents import set_tracing_disabled
from agents.models.openai_provider import OpenAIProvider
from openai import AsyncOpenAI
from temporalio.client import Client
from temporalio.openai_agents import ModelActivityParameters, OpenAIAgentsPlugin
from temporalio.worker import Worker

from benchmarks.peers.drivers.openai_agents_workflow import ToolsWorkflow, count, look_up
from benchmarks.peers.drivers.wire import Job, Options, http_client, serve

MAX_CACHED = 1_000


class OpenAIAgents:
    """A job is one task, whose ask orders the turns."""

    def __init__(self, client: Client, worker: Worker, options: Options) -> None:
        self._client = client
        self._queue = worker.task_queue
        self._options = options
        self._running = asyncio.create_task(worker.run())

    async def run(self, job: Job, run_id: str) -> None:
        options = self._options
        await self._client.execute_workflow(
            ToolsWorkflow.run,
            args=[job[0].ask, options.tool_attempts, options.tool_seconds],
            id=run_id,
            task_queue=self._queue,
        )

    async def resume(self, job: Job, run_id: str) -> None:
        """Temporal continues the run as soon as a worker is available."""
        await self._client.get_workflow_handle(run_id).result()

    open = answer = run


async def make(options: Options) -> OpenAIAgents:
    set_tracing_disabled(True)
    model_client = AsyncOpenAI(
        base_url=options.upstream,
        api_key=options.api_key,
        max_retries=0,
        http_client=http_client(options.transport, ""),
    )
    provider = OpenAIProvider(openai_client=model_client, use_responses=False)
    plugin = OpenAIAgentsPlugin(
        model_params=ModelActivityParameters(start_to_close_timeout=timedelta(seconds=60)),
        model_provider=provider,
    )
    client = await Client.connect(options.temporal, plugins=[plugin])
    worker = Worker(
        client,
        task_queue=f"peers-{options.name}",
        workflows=[ToolsWorkflow],
        activities=[look_up, count],
        max_cached_workflows=MAX_CACHED,
        max_concurrent_activities=600,
        max_eager_activity_reservations_per_workflow_task=100,
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=1),
    )
    return OpenAIAgents(client, worker, options)


if __name__ == "__main__":
    serve(make, ("temporalio-openai-agents", "openai-agents", "openai", "temporalio"))
