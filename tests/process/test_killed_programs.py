"""The real worker, gateway and Temporal server around programs: a SIGKILL in the middle of a call
leaves no process running, and nothing is paid twice.

One worker is killed once, with four programs at four different points.
"""

import asyncio
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle

from durable_agent_team.contracts.names import TASK_QUEUE, WORKFLOW
from durable_agent_team.contracts.run import RunReport, RunStatus, TaskStatus
from durable_agent_team.contracts.spend import LedgerAgreement
from tests.activities.programs.support import content, gone, is_running
from tests.process.test_worker import worker_process
from tests.support import secrets
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.run_reports import report_of
from tests.support.temporal import server
from tests.support.upstream import Rule, ScriptedUpstream

POINTS = ("first", "tool", "second", "stream")
AGENT = '''
import json, os, subprocess, sys, time, urllib.request
from pathlib import Path

FOLDER = Path(os.environ["FOLDER"])


def answer(task):
    """Two calls of a model and a tool between them."""
    mine = FOLDER / task.agent
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"],
                             start_new_session=True)
    with mine.with_suffix(".pids").open("a") as file:
        print(os.getpid(), child.pid, file=file)
    first = call(task, f"{task.agent}, first")
    if task.agent == "tool" and not mine.exists():
        mine.write_text("in the tool\\n")
        time.sleep(600)
    mine.with_suffix(".key").write_text(task.client.api_key)
    print(task.client.api_key, file=sys.stderr)
    return call(task, f"{task.agent}, second after {first}", stream=task.agent == "stream")


def call(task, text, stream=False):
    body = {"model": task.model, "max_tokens": 50, "stream": stream,
            "messages": [{"role": "user", "content": text}]}
    request = urllib.request.Request(
        f"{task.client.base_url}/chat/completions", json.dumps(body).encode(),
        {"Authorization": f"Bearer {task.client.api_key}", "Content-Type": "application/json"})
    with urllib.request.urlopen(request) as response:
        if not stream:
            return json.load(response)["choices"][0]["message"]["content"]
        events = [line[6:] for line in response if line.startswith(b"data: {")]
    deltas = [choice["delta"] for event in events for choice in json.loads(event)["choices"]]
    return "".join(delta.get("content") or "" for delta in deltas)
'''
COMMAND = """
import os, sys
sys.path.insert(0, os.environ["FOLDER"])
from durable_agent_team.agents import AgentTask
from desk import answer
task = AgentTask.from_json(sys.stdin.buffer.read())
sys.stdout, out = sys.stderr, sys.stdout
print(answer(task), file=out)
"""


@dataclass
class Stage:
    client: Client
    gateway: RunningGateway
    upstream: ScriptedUpstream
    address: str
    folder: Path

    def worker(self) -> Any:
        return worker_process(
            self.folder,
            TEMPORAL_ADDRESS=self.address,
            ATXP_API_URL=self.gateway.base_url,
            ATXP_LLM_URL=self.gateway.base_url,
            ATXP_API_KEY=self.gateway.parent_key,
            FOLDER=str(self.folder),
            TMPDIR=str(self.folder),
        )

    async def start(self, agents: tuple[str, ...]) -> WorkflowHandle[Any, Any]:
        team = {
            "name": "desks",
            "final": "handoff",
            "goal": "Help.",
            "agents": {name: self._agent(name) for name in agents},
            "tasks": [{"id": f"t-{name}", "agent": name, "ask": "Answer."} for name in agents],
            "result": f"t-{agents[0]}",
        }
        run = f"run-{uuid.uuid4()}"
        return await self.client.start_workflow(
            WORKFLOW, {"team": team}, id=run, task_queue=TASK_QUEUE, result_type=RunReport
        )

    def _agent(self, name: str) -> dict[str, Any]:
        run: dict[str, Any] = {"python": "desk:answer", "directory": str(self.folder)}
        if name in ("first", "stream"):
            run = {"command": [sys.executable, "-c", COMMAND]}
        run["env"] = ["FOLDER"]
        return {"role": "Desk", "model": "m", "budget_usd": 1, "timeout_seconds": 100, "run": run}

    def pids(self, *agents: str) -> tuple[int, ...]:
        texts = (content(self.folder / f"{name}.pids") for name in agents)
        return tuple(int(pid) for text in texts for pid in text.split())

    @property
    def files_of_the_gateway(self) -> list[Path]:
        return [each for each in self.gateway.database.parent.glob("*.db*") if each.is_file()]

    @property
    def work(self) -> list[Path]:
        return list(self.folder.glob("durable-agent-team-*/worker-*/program-*"))


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    (tmp_path / "desk.py").write_text(AGENT)
    async with (
        server() as temporal,
        ScriptedUpstream() as upstream,
        running_gateway(upstream.url) as gateway,
    ):
        address = temporal.client.service_client.config.target_host
        yield Stage(temporal.client, gateway, upstream, address, tmp_path)


@asynccontextmanager
async def ready(stage: Stage) -> AsyncIterator[Any]:
    async with stage.worker() as worker:
        await asyncio.wait_for(worker.stdout.readline(), 60)
        yield worker


async def until(condition: Any) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.05)


async def test_a_killed_worker_leaves_nothing_running_and_pays_nothing_twice(
    stage: Stage,
) -> None:
    gate = asyncio.Event()
    for text in ("first, first", "second, second", "stream, second"):
        stage.upstream.add(Rule(contains=text, gate=gate, times=1))
    async with ready(stage) as worker:
        handle = await stage.start(POINTS)
        in_tool = stage.folder / "tool"
        await until(lambda: stage.upstream.in_flight == 3 and content(in_tool))
        pids = stage.pids(*POINTS)
        assert len(pids) == 8
        assert all(map(is_running, pids))
        worker.kill()
        await worker.wait()
        assert await gone(*pids)
    gate.set()
    async with ready(stage) as worker:
        report = await report_of(handle, 90)
        assert await gone(*stage.pids(*POINTS)), "an answer ends what a program has started"
        assert stage.work == [], "the second worker has removed what the first one left"
        worker.terminate()
        out, log = await worker.communicate()
    assert report.status is RunStatus.COMPLETED
    assert all(each.task.status is TaskStatus.DONE for each in report.outcomes)
    assert stage.upstream.count == 8, "two calls of each program, each once"
    assert set(stage.upstream.by_hash.values()) == {1}
    spend = report.spend
    assert all(each.spent_usd > 0 for each in spend.agents if each.agent in POINTS)
    assert spend.total.spent_usd == spend.ledger_usd
    assert spend.ledger_agrees is LedgerAgreement.YES
    history = (await handle.fetch_history()).to_json()
    places = {"history": history.encode(), "log": out + log}
    places |= {str(path): path.read_bytes() for path in stage.files_of_the_gateway}
    keys = {name: content(stage.folder / f"{name}.key") for name in POINTS}
    assert secrets.found({"parent": stage.gateway.parent_key, **keys}, places) == []


async def test_a_cancelled_run_ends_its_program(stage: Stage) -> None:
    gate = asyncio.Event()
    stage.upstream.add(Rule(contains="second, second", gate=gate, times=1))
    async with ready(stage):
        handle = await stage.start(("second",))
        await until(lambda: stage.upstream.count == 2)
        await handle.signal("cancel")
        assert await gone(*stage.pids("second"))
        gate.set()  # the run waits for what the gateway finishes
        report = await report_of(handle, 60)
        assert stage.work == []
    assert report.status is RunStatus.CANCELLED
    assert report.spend.total.spent_usd > 0, "the first call was paid"
