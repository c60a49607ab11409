"""The worker as a process: what it says, how it waits, how it stops."""

import asyncio
import base64
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from temporalio.worker import UnsandboxedWorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

import worker
from durable_agent_team.atxp.http_client import HttpClient
from durable_agent_team.client.connection import ATTRIBUTES, connect, ensure_search_attributes
from durable_agent_team.contracts.activity_interfaces import (
    AccountActivities,
    AgentActivities,
    NotificationActivities,
    ProgramActivities,
    ToolActivities,
)
from durable_agent_team.process.project_root import PROJECT_ROOT
from durable_agent_team.process.settings import ClientSettings, WorkerSettings
from tests.support.ports import lasting_ports
from tests.support.warm import warm_command

KEY = base64.urlsafe_b64encode(bytes(32)).decode()
SECONDS = 60
"""For any one step: a patience for slow machines, not a measure."""
SETTINGS = WorkerSettings.model_validate({"atxp_api_key": "parent", "sealing_key": KEY})


@asynccontextmanager
async def process(*command: str, **env: str) -> AsyncIterator[Process]:
    started = await asyncio.create_subprocess_exec(
        *command, stdout=PIPE, stderr=PIPE, env={**os.environ, **env}, cwd=PROJECT_ROOT
    )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
        await started.communicate()


def worker_process(folder: Path, *program: str, **env: str) -> AbstractAsyncContextManager[Process]:
    given = {
        "DATA_DIR": str(folder),
        "TEMPORAL_NAMESPACE": "default",
        "ATXP_API_URL": "http://127.0.0.1:1/v1",
        "ATXP_LLM_URL": "http://127.0.0.1:1/v1",
        "ATXP_API_KEY": "parent-key-of-the-test",
        "SEALING_KEY": KEY,
        **env,
    }
    return process(*(program or (sys.executable, "worker.py")), **given)


async def line(stream: asyncio.StreamReader | None) -> str:
    assert stream is not None
    return (await asyncio.wait_for(stream.readline(), SECONDS)).decode()


async def test_it_waits_for_temporal_registers_attributes_and_stops_gracefully(
    tmp_path: Path,
) -> None:
    [port] = lasting_ports(1)
    address = f"127.0.0.1:{port}"
    temporal = str(Path(sys.executable).parent / "temporal")
    async with worker_process(tmp_path, TEMPORAL_ADDRESS=address) as ours:
        assert f"waiting for Temporal: Temporal does not answer at {address}" in await line(
            ours.stderr
        )
        server = (temporal, "server", "start-dev", "--port", str(port), "--headless")
        async with process(*server, "--log-level", "error"):
            assert f"worker ready on task queue 'orchestrator' at {address}" in await line(
                ours.stdout
            )
            client = await connect(ClientSettings(temporal_address=address))
            assert await ensure_search_attributes(client) == []
            ours.send_signal(signal.SIGTERM)
            out, log = await asyncio.wait_for(ours.communicate(), SECONDS)
    assert ours.returncode == 0
    assert all(name in log.decode() for name in ATTRIBUTES)
    assert b"parent-key-of-the-test" not in out + log
    assert KEY.encode() not in out + log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_stops_while_it_waits(tmp_path: Path, number: signal.Signals) -> None:
    warm = warm_command("worker.py")
    async with worker_process(tmp_path, *warm, TEMPORAL_ADDRESS="127.0.0.1:1") as ours:
        await line(ours.stderr)
        ours.send_signal(number)
        assert await asyncio.wait_for(ours.wait(), SECONDS) == 0


async def test_wrong_settings_end_it_with_2_and_no_trace(tmp_path: Path) -> None:
    wrong = {"MAX_CONCURRENT_CALLS": "none", "SEALING_KEY": "short", "TEMPORAL_ADDRESS": "x"}
    async with worker_process(tmp_path, *warm_command("worker.py"), **wrong) as ours:
        out, log = await asyncio.wait_for(ours.communicate(), SECONDS)
    said = log.decode()
    assert (ours.returncode, out) == (2, b"")
    for name in wrong:
        assert f"{name}" in said
    assert "Traceback" not in said


async def test_every_activity_of_the_contracts_is_served() -> None:
    async with HttpClient() as http:
        served = {one.__name__ for one in worker.all_activities(SETTINGS, http)}
    wanted = {
        name
        for kind in (
            AccountActivities,
            AgentActivities,
            NotificationActivities,
            ProgramActivities,
            ToolActivities,
        )
        for name in vars(kind)
        if not name.startswith("_")
    }
    assert served == wanted


def test_the_sandbox_is_on_and_the_workflow_is_inside() -> None:
    runner = worker.workflow_runner(SETTINGS)
    assert isinstance(runner, SandboxedWorkflowRunner)
    passed = runner.restrictions.passthrough_modules
    assert "durable_agent_team.contracts" in passed
    assert "durable_agent_team" not in passed
    assert not {"workflows", "workflows.orchestrator"} & set(passed)
    off = SETTINGS.model_copy(update={"workflow_sandbox": False})
    assert isinstance(worker.workflow_runner(off), UnsandboxedWorkflowRunner)
