"""The real worker and Temporal server around calls of a tool that acts once: after a SIGKILL, what
was sent can be told from what was not, and nothing of the tool's server runs on."""

import asyncio
import json
import shlex
import signal
import sys
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from temporalio import workflow
from temporalio.client import Client
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, TimeoutError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from durable_agent_team.contracts.activity_interfaces import ToolActivities
from durable_agent_team.contracts.names import TASK_QUEUE
from durable_agent_team.contracts.tool_box import ToolBox
from durable_agent_team.contracts.tool_call import ListTools, ToolOrder, ToolResult
from durable_agent_team.contracts.tool_kinds import CommandServer, ServerTools
from tests.activities.programs.support import gone
from tests.activities.tools.support import HOSTILE, fact
from tests.process.test_worker import worker_process
from tests.support.sandbox import patient
from tests.support.temporal import server

MINUTES = timedelta(minutes=5)
TOOL = ServerTools(server="shop", key_argument="request_key")


@workflow.defn(name="ListsTools")
class ListsTools:
    @workflow.run
    async def run(self, wanted: ListTools) -> ToolBox:
        return await workflow.execute_activity_method(
            ToolActivities.list_tools,
            wanted,
            task_queue=TASK_QUEUE,
            start_to_close_timeout=MINUTES,
        )


@workflow.defn(name="CallsOnce")
class CallsOnce:
    @workflow.run
    async def run(self, order: ToolOrder) -> list[Any]:
        """What the call came to: its result; or what the dead attempt has left of itself."""
        try:
            result: ToolResult = await workflow.execute_activity_method(
                ToolActivities.call_tool,
                order,
                task_queue=TASK_QUEUE,
                start_to_close_timeout=MINUTES,
                heartbeat_timeout=timedelta(seconds=2),
                retry_policy=RetryPolicy(maximum_attempts=1),
            )
        except ActivityError as error:
            lost = error.cause
            return ["lost", *lost.last_heartbeat_details] if isinstance(lost, TimeoutError) else []
        return ["done", result.text]


async def started(client: Client, queue: str, kind: Any, given: Any) -> Any:
    return await client.start_workflow(kind, given, id=f"tools-{uuid.uuid4()}", task_queue=queue)


def acting(folder: Path, name: str, seconds: float) -> CommandServer:
    """A server below a shell, as `npx` has it, whose effect is a line in a file."""
    command = shlex.join((sys.executable, "-I", "-S", str(HOSTILE)))
    script = f"HOSTILE_SECONDS={seconds} {command}; true {name}"
    return CommandServer(command=("sh", "-c", script))


async def test_after_a_sigkill_what_was_sent_is_told_from_what_was_not(tmp_path: Path) -> None:
    async with server() as temporal:
        client, queue = temporal.client, f"tools-{uuid.uuid4()}"
        address = client.service_client.config.target_host
        async with patient(
            Worker(
                client,
                task_queue=queue,
                workflows=[ListsTools, CallsOnce],
                workflow_runner=UnsandboxedWorkflowRunner(),
            )
        ):
            async with worker_process(tmp_path, TEMPORAL_ADDRESS=address) as ours:
                quick = acting(tmp_path, "quick", 0)
                wanted = ListTools(agent="clerk", tools=(TOOL,), servers={"shop": quick})
                listing = await started(client, queue, ListsTools.run, wanted)
                box = TypeAdapter(ToolBox).validate_python(await listing.result())

                def order(name: str, its_server: CommandServer) -> ToolOrder:
                    return ToolOrder(
                        agent="clerk",
                        task="refunds",
                        key=f"conversation:{name}",
                        facts=fact(box, "effect"),
                        tool=TOOL,
                        servers={"shop": its_server},
                        arguments=json.dumps({"value": str(tmp_path / name)}),
                    )

                done = await started(client, queue, CallsOnce.run, order("done", quick))
                assert await done.result() == ["done", "effect 1"]
                slow = acting(tmp_path, "slow", 600)
                acts = await started(client, queue, CallsOnce.run, order("acts", slow))
                never = CommandServer(command=("sleep", "600"), connect_seconds=500)
                waits = await started(client, queue, CallsOnce.run, order("waits", never))
                async with asyncio.timeout(60):
                    while not (tmp_path / "acts").exists():
                        await asyncio.sleep(0.05)
                await asyncio.sleep(0.5)  # the other one connects
                ours.send_signal(signal.SIGKILL)
                await ours.wait()
                [key, pid] = (tmp_path / "acts").read_text().split()
                assert await gone(int(pid))
            async with asyncio.timeout(60):
                assert await acts.result() == ["lost", "sent"]
                assert await waits.result() == ["lost"]
    assert key == "conversation:acts"
    assert (tmp_path / "acts").read_text().count("\n") == 1
    assert not (tmp_path / "waits").exists()
