"""A thousand open runs in one process: ours parked, a peer's waiting for a human decision."""

import asyncio
import contextlib
import subprocess
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError

from benchmarks import jobs
from benchmarks.peers.field import Entry, Field
from benchmarks.peers.work import as_team, fan
from benchmarks.process import Process
from benchmarks.stage import RunBroken, Stage
from durable_agent_team.client.runs import RunHandle
from durable_agent_team.contracts.team import Team

JOB = fan(3, 0)
"""A plan and three calls are made; the synthesis has to wait."""
MADE = len(JOB) - 1
AT_ONCE = 50
"""Opened together, by all contenders: a thousand at once would measure something else."""
ANSWERED = 10
"""So many of a peer's runs are approved and must continue: the wait has to be a real one."""

TOO_LITTLE = Decimal("0.0005")
QUIET_SECONDS = 30.0
"""After this long without a call, it counts as stalled."""
REST_SECONDS = 8.0
"""After the last call: what is to be written is written, what leaves the memory has left it."""
TWICE = 1.05
"""What a busy engine makes once more, and no more than that, is no matter for its memory."""


@dataclass(frozen=True)
class Held:
    """Resident memory in MB: before, and with this many runs open."""

    idle: float
    open: float
    runs: int

    @property
    def per_1000(self) -> float:
        return (self.open - self.idle) * 1000 / self.runs


async def ours(stage: Stage, runs: int) -> Held:
    """Of a new worker. The last agent's account is too small, so that the runs park."""
    await stage.replace_worker()
    try:
        return await _parked(stage, stage.worker, runs)
    finally:
        await stage.replace_worker()
        await stage.warm()


async def ours_kept(stage: Stage, runs: int) -> Held:
    """The same, of a worker that keeps in its memory what waits."""
    await stage.worker.kill()
    keeping = await stage.one_more_worker("benchmarks.peers.keeping_worker", "keeping")
    try:
        return await _parked(stage, keeping, runs)
    finally:
        await keeping.kill()
        await stage.worker.start()
        await stage.worker.line("worker ready")
        await stage.warm()


async def _parked(stage: Stage, worker: Process, runs: int) -> Held:
    await stage.warm()
    await stage.upstream.reset()
    idle = megabytes(worker.pid)
    team, handles = parking_team(), list[RunHandle]()

    async def begin(some: int) -> None:
        handles.extend(await asyncio.gather(*(stage.start(team) for _ in range(some))))

    try:
        await _opened(stage, "ours", runs, begin)
        loaded = megabytes(worker.pid)
        still = await _open(stage, handles)
    finally:
        await _terminated(stage, handles)
    if still < 0.9 * runs:
        raise RunBroken(f"of {runs} runs that were to park only {still} are open")
    return Held(idle, loaded, still)


async def of_peer(field: Field, entry: Entry, runs: int) -> Held:
    """Of a new process of the peer, which is warm: it had runs that waited and went on."""
    name = f"{entry.name}-{uuid.uuid4().hex[:8]}"  # no other worker takes work from its queue
    driver, stage = field.driver(replace(entry, name=name)), field.stage
    ids: list[str] = []

    async def begin(some: int) -> None:
        new = [uuid.uuid4().hex for _ in range(some)]
        ids.extend(new)
        await driver.ask("open", JOB, new)

    try:
        await driver.start()
        for _ in range(2):
            await driver.run(fan(20, 0), [uuid.uuid4().hex])
        await begin(ANSWERED)
        await driver.ask("answer", JOB, ids)
        ids.clear()
        await stage.upstream.reset()
        idle = megabytes(driver.pid)
        await _opened(stage, entry.name, runs, begin)
        loaded = megabytes(driver.pid)
        await driver.ask("answer", JOB, ids[:ANSWERED])
        await _check(stage, entry.name, MADE * runs + min(ANSWERED, runs))
    finally:
        await driver.kill()
    return Held(idle, loaded, runs)


async def _opened(
    stage: Stage, name: str, runs: int, begin: Callable[[int], Awaitable[None]]
) -> None:
    """Opens the runs in batches; returns when all have made their calls and rest."""
    done = 0
    while done < runs:
        some = min(AT_ONCE, runs - done)
        await begin(some)
        done += some
        await _reached(stage, name, MADE * done)
    await asyncio.sleep(REST_SECONDS)
    await _check(stage, name, MADE * runs)


async def _reached(stage: Stage, name: str, wanted: int) -> None:
    seen, since = -1, time.perf_counter()
    while (count := (await stage.upstream.counts())["answered"]) < wanted:
        now = time.perf_counter()
        if count != seen:
            seen, since = count, now
        if now - since > QUIET_SECONDS:
            raise RunBroken(f"{name} made {count} calls where {wanted} were to be made")
        await asyncio.sleep(0.02)


async def _check(stage: Stage, name: str, wanted: int) -> None:
    """An engine that waits too early, not at all, or cannot continue shows it in its calls."""
    calls = (await stage.upstream.counts())["answered"]
    if not wanted <= calls <= wanted * TWICE:
        raise RunBroken(f"{name} made {calls} calls where {wanted} were to be made")


def parking_team() -> Team:
    """N = 3, and an editor who cannot pay for the synthesis."""
    team = as_team(JOB, "tasks")
    poor = jobs.make_agent().model_copy(update={"budget_usd": TOO_LITTLE})
    tasks = tuple(
        task.model_copy(update={"agent": "poor"}) if task.id == jobs.BRIEF else task
        for task in team.tasks
    )
    return team.model_copy(update={"agents": {**team.agents, "poor": poor}, "tasks": tasks})


def megabytes(pid: int) -> float:
    """Resident memory, as `ps` reports it, in millions of bytes."""
    told = subprocess.run(
        ["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True
    )
    return int(told.stdout) * 1024 / 1e6


async def _open(stage: Stage, handles: Sequence[RunHandle]) -> int:
    """How many of them Temporal has as running."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(handle: RunHandle) -> bool:
        async with places:
            described = await stage.client.get_workflow_handle(handle.id).describe()
            return described.status is WorkflowExecutionStatus.RUNNING

    return sum(await asyncio.gather(*(one(handle) for handle in handles)))


async def _terminated(stage: Stage, handles: Sequence[RunHandle]) -> None:
    places = asyncio.Semaphore(AT_ONCE)

    async def one(handle: RunHandle) -> None:
        async with places:
            with contextlib.suppress(RPCError):  # it has ended
                await stage.client.get_workflow_handle(handle.id).terminate("measured")

    await asyncio.gather(*(one(handle) for handle in handles))
