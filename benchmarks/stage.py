"""The stage: scripted upstream, gateway, tuned Temporal server and worker, a process each."""

import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from dotenv import dotenv_values
from temporalio.client import Client

from benchmarks import jobs
from benchmarks.process import NotReady, Process
from benchmarks.upstream import MODEL, Upstream
from durable_agent_team.client.runs import RunHandle, start_run
from durable_agent_team.contracts.run import RunReport, RunStatus
from durable_agent_team.contracts.spend import LedgerAgreement
from durable_agent_team.contracts.team import Team
from durable_agent_team.local_stack.stack_plan import Part, StackPlan
from durable_agent_team.process.project_root import PROJECT_ROOT
from durable_agent_team.process.stack_state import LOCAL_ENV
from tests.support.stack import client_of, plan_in

PRICES = f"""[models."{MODEL}"]
input_usd_per_million = 1
output_usd_per_million = 2
"""


class RunBroken(Exception):
    """A run did not do what was to be measured, so its time means nothing."""


@dataclass
class Stage:
    """The running components. `http` is a plain client, as an application without us has it."""

    folder: Path
    plan: StackPlan
    client: Client
    upstream: Upstream
    http: httpx.AsyncClient
    worker: Process
    secrets: dict[str, str]
    processes: dict[str, Process]
    """Server, gateway and worker, by name."""

    @property
    def gateway_url(self) -> str:
        return f"{self.plan.gateway_url}/v1"

    @property
    def parent_key(self) -> str:
        return self.secrets["ATXP_API_KEY"]

    async def start(self, team: Team) -> RunHandle:
        return await start_run(self.client, jobs.request(team), id=f"bench-{uuid.uuid4()}")

    async def run(self, team: Team) -> tuple[RunHandle, float]:
        """Executes a run; returns the seconds that it took."""
        began = time.perf_counter()
        handle = await self.start(team)
        report = await handle.result()
        seconds = time.perf_counter() - began
        check(report, team)
        return handle, seconds

    async def replace_worker(self) -> None:
        """Kills the worker, and waits until the next one is ready."""
        await self.worker.kill()
        await self.worker.start()
        await self.worker.line("worker ready")

    async def one_more_worker(self, module: str, name: str, **more: str) -> Process:
        """Starts a worker from another module, in addition; the caller stops it."""
        part = next(part for part in self.plan.parts if part.name == "worker")
        log = self.folder / "logs" / f"{name}.log"
        other = Process((sys.executable, "-m", module), {**part.env, **more}, log, PROJECT_ROOT)
        await other.start()
        await other.line("worker ready")
        return other

    async def warm(self) -> None:
        for shape in ("accounts", "tasks"):
            await self.run(jobs.fan(20, 0, shape))
        await jobs.plain(jobs.fan(100, 0, "tasks"), self.http, self.upstream.url)


def check(report: RunReport, team: Team) -> None:
    """Raises `RunBroken` unless every task was done and the ledger agrees."""
    calls = report.spend.total.calls
    good = (
        report.status is RunStatus.COMPLETED
        and calls == len(team.tasks)
        and report.spend.ledger_agrees is LedgerAgreement.YES
    )
    if not good:
        raise RunBroken(
            f"run {report.workflow_id}: {report.status}, {calls} calls for {len(team.tasks)} tasks,"
            f" ledger {report.spend.ledger_agrees}; {report.failure}"
        )


@asynccontextmanager
async def stage(*, recording: bool = False) -> AsyncIterator[Stage]:
    """Everything in a folder of its own; the local stack is left alone.

    `recording`: the upstream keeps every request, and not only its count.
    """
    data = PROJECT_ROOT / ".data"
    data.mkdir(exist_ok=True)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-", dir=data)))
        http = await stack.enter_async_context(httpx.AsyncClient(timeout=60, trust_env=False))
        upstream = Upstream(await _upstream(stack, folder, recording), http)
        await upstream.reset()
        plan = plan_in(folder, upstream.url, MODEL)
        parts = {part.name: part for part in plan.parts}
        temporal = await _started(stack, folder, parts["temporal"])
        gateway = await _started(stack, folder, parts["gateway"], **_prices(folder))
        await gateway.line("gateway ready")
        try:
            client = await client_of(plan)
        except TimeoutError as error:
            raise NotReady(f"Temporal does not answer:\n{temporal.text()[-2000:]}") from error
        worker = await _started(stack, folder, parts["worker"])
        await worker.line("worker ready")
        secrets = {k: v for k, v in dotenv_values(folder / LOCAL_ENV).items() if v}
        processes = {"server": temporal, "gateway": gateway, "worker": worker}
        yield Stage(folder, plan, client, upstream, http, worker, secrets, processes)


async def _upstream(stack: AsyncExitStack, folder: Path, recording: bool) -> str:
    command: tuple[str, ...] = (sys.executable, "-m", "tests.support.upstream", "--port", "0")
    command = command if recording else (*command, "--no-recording")
    process = Process(command, {}, folder / "upstream.log", PROJECT_ROOT)
    await process.start()
    stack.push_async_callback(process.kill)
    return await process.line("http://")


async def _started(stack: AsyncExitStack, folder: Path, part: Part, **more: str) -> Process:
    env = {**part.env, **more}
    directory = getattr(part, "directory", PROJECT_ROOT)  # an older revision's has none
    process = Process(part.command, env, folder / "logs" / f"{part.name}.log", directory)
    stack.push_async_callback(process.stop)
    await process.start()
    return process


def _prices(folder: Path) -> dict[str, str]:
    path = folder / "prices.toml"
    path.write_text(PRICES)
    return {"GATEWAY_PRICES": str(path)}
