"""A task that kills or blocks its worker each time fails alone, after a bounded number of times.

Real processes and a real server: a supervisor starts the worker again, as an operator's would.
"""

import asyncio
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import IO, Any

import pytest
from temporalio.client import Client

from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.names import WORKFLOW
from durable_agent_team.contracts.run import RunReport, RunStatus, TaskStatus
from durable_agent_team.process.project_root import PROJECT_ROOT
from tests.support.temporal import server

MOST_TIMES = 2
"""One attempt of the agent's policy in each of two rounds (docs/adr/021)."""
AGENT = {"role": "R", "budget_usd": 1}
KILLER: dict[str, Any] = {
    "name": "killer",
    "goal": "x",
    "final": "handoff",
    "orchestrator": {"budget_usd": 1},
    "agents": {
        "careful": AGENT,
        "deadly": {**AGENT, "retry": {"max_attempts": 1}, "on_failure": "fail"},
    },
    "tasks": [
        {"id": "killer", "agent": "deadly", "ask": "Kill."},
        {"id": "other", "agent": "careful", "ask": "Live."},
    ],
    "result": "other",
}
INNOCENT: dict[str, Any] = {
    "name": "innocent",
    "goal": "x",
    "final": "handoff",
    "orchestrator": {"budget_usd": 1},
    "agents": {"careful": AGENT},
    "tasks": [
        {"id": "a", "agent": "careful", "ask": "Live."},
        {"id": "b", "agent": "careful", "ask": "Live on.", "depends_on": ["a"]},
    ],
    "result": "b",
}


@asynccontextmanager
async def supervised(log: IO[bytes], *arguments: str) -> AsyncIterator[list[int]]:
    """The worker, started again whenever it ends; gives its exit statuses."""
    ended: list[int] = []
    running: list[asyncio.subprocess.Process] = []

    async def supervise() -> None:
        while True:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.process.killing_worker", *arguments,
                cwd=PROJECT_ROOT, stderr=log,
            )  # fmt: skip
            running.append(process)
            ended.append(await process.wait())

    task = asyncio.create_task(supervise())
    try:
        yield ended
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        if running and running[-1].returncode is None:
            running[-1].kill()
            await running[-1].wait()


@pytest.mark.parametrize(("how", "status"), [("kill", -9), ("block", 1)])
async def test_it_fails_alone(how: str, status: int, tmp_path: Path) -> None:
    async with server() as temporal:
        client: Client = temporal.client
        given_out, queue = tmp_path / "given-out", f"queue-{uuid.uuid4()}"
        address = client.service_client.config.target_host
        with (tmp_path / "worker.log").open("wb") as log:
            async with supervised(log, address, queue, str(given_out), how) as ended:
                reports = await asyncio.wait_for(
                    asyncio.gather(*(_report(client, queue, team) for team in (KILLER, INNOCENT))),
                    150,
                )
    killed, innocent = reports
    assert innocent.status is RunStatus.COMPLETED
    assert killed.status is RunStatus.COMPLETED, "its result needs the other task only"
    tasks = {each.task.id: each.task for each in killed.outcomes}
    assert tasks["other"].status is TaskStatus.DONE
    assert tasks["killer"].status is TaskStatus.FAILED
    failure = tasks["killer"].failure
    assert failure is not None
    assert failure.type == ErrorType.WORKER_LOST, "its cause is named"
    lines = given_out.read_text().splitlines()
    assert len(lines) == MOST_TIMES
    assert len(set(lines)) == 1, "one call, one key"
    assert ended == [status] * len(lines)


async def _report(client: Client, queue: str, team: dict[str, Any]) -> RunReport:
    report = await client.execute_workflow(
        WORKFLOW,
        {"team": team},
        id=f"run-{uuid.uuid4()}",
        task_queue=queue,
        result_type=RunReport,
    )
    assert isinstance(report, RunReport)
    return report
