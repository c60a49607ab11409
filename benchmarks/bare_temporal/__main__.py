"""The worker of these workflows, at its fastest: no sandbox, and activities started eagerly."""

import asyncio
import os
from typing import Final

import aiohttp
from temporalio import activity
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from benchmarks import jobs
from benchmarks.bare_temporal.workflows import CALL, TASK_QUEUE, TOOL, UPSTREAM, BareFan, BareTurns
from benchmarks.upstream import MODEL, latency
from durable_agent_team.process.interpreter_exit import exit_process

RESULT: Final = "x" * 2_048


class Calls:
    """Calls that go to the upstream directly, without a gateway."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http, self._url = http, url

    @activity.defn(name=CALL)
    async def call(self, latency_ms: int) -> str:
        messages = [
            {"role": "system", "content": jobs.INSTRUCTIONS},
            {"role": "user", "content": f"Answer. {latency(latency_ms)}"},
        ]
        body = {"model": MODEL, "max_tokens": 512, "temperature": 0, "messages": messages}
        async with self._http.post(f"{self._url}/chat/completions", json=body) as response:
            response.raise_for_status()
            text: str = (await response.json())["choices"][0]["message"]["content"]
            return text


@activity.defn(name=TOOL)
async def tool() -> str:
    return RESULT


async def serve() -> None:
    client = await Client.connect(
        os.environ["TEMPORAL_ADDRESS"], namespace=os.environ["TEMPORAL_NAMESPACE"]
    )
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        worker = Worker(
            client,
            task_queue=TASK_QUEUE,
            workflows=[BareFan, BareTurns],
            activities=[Calls(http, os.environ[UPSTREAM]).call, tool],
            workflow_runner=UnsandboxedWorkflowRunner(),
            max_concurrent_activities=500,
            max_eager_activity_reservations_per_workflow_task=100,
        )
        print("worker ready", flush=True)
        await worker.run()


def main() -> int:
    asyncio.run(serve())
    return 0


if __name__ == "__main__":
    exit_process(main())
