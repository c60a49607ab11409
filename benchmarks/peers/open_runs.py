"""A thousand runs that are open in one process: ours parked, a peer's waiting for a person."""

import asyncio
import contextlib
import subprocess
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError

from benchmarks import jobs
from benchmarks.peers.driver import Driver
from benchmarks.peers.field import Entry, Field
from benchmarks.peers.work import as_team, fan
from benchmarks.stage import RunBroken, Stage
from contracts.team import Team
from runtime.runs import RunHandle

JOB = fan(3, 0)
"""A plan and three calls are made; the synthesis has to wait."""
MADE = len(JOB) - 1
AT_ONCE = 20
"""Starts in flight: a thousand in one moment would measure something else."""
ANSWERED = 10
"""So many of a peer's runs are told to go on, and have to: it is no wait that nobody can end."""

TOO_LITTLE = Decimal("0.0005")
PATIENCE_SECONDS = 300.0
QUIET_SECONDS = 30.0
REST_SECONDS = 5


@dataclass(frozen=True)
class Held:
    """Resident memory in MB: before, and with so many runs open."""

    idle: float
    open: float
    runs: int

    @property
    def per_1000(self) -> float:
        return (self.open - self.idle) * 1000 / self.runs


async def ours(stage: Stage, runs: int) -> Held:
    """Of a new worker. The last agent's account is too small, so that the runs park."""
    await stage.replace_worker()
    await stage.warm()
    await stage.upstream.reset()
    idle = megabytes(stage.worker.pid)
    handles = await _started(stage, parking_team(), runs)
    try:
        await _quiet(stage, MADE * runs)
        loaded = megabytes(stage.worker.pid)
        still = await _open(stage, handles)
        calls = (await stage.upstream.counts())["answered"]
    finally:
        await _terminated(stage, handles)
        await stage.replace_worker()
        await stage.warm()
    if still < 0.9 * runs:
        raise RunBroken(f"of {runs} runs that were to park only {still} are open")
    if calls < MADE * still:
        raise RunBroken(f"{still} runs are open, and made {calls} calls instead of four each")
    return Held(idle, loaded, still)


async def of_peer(field: Field, entry: Entry, runs: int) -> Held:
    """Of a new process of the peer, which is warm: it had runs that waited and went on."""
    name = f"{entry.name}-{uuid.uuid4().hex[:8]}"  # no other worker takes work from its queue
    driver = field.driver(replace(entry, name=name))
    try:
        await driver.start()
        for _ in range(2):
            await driver.run(fan(20, 0), [uuid.uuid4().hex])
        await _answered(driver, await _opened(driver, ANSWERED))
        await field.stage.upstream.reset()
        idle = megabytes(driver.pid)
        ids = await _opened(driver, runs)
        await _quiet(field.stage, MADE * runs)
        loaded = megabytes(driver.pid)
        await _check(field.stage, entry, MADE * runs)
        await _answered(driver, ids[:ANSWERED])
        await _check(field.stage, entry, MADE * runs + min(ANSWERED, runs))
    finally:
        await driver.kill()
    return Held(idle, loaded, runs)


async def _opened(driver: Driver, runs: int) -> list[str]:
    ids = [uuid.uuid4().hex for _ in range(runs)]
    await driver.ask("open", JOB, ids)
    return ids


async def _answered(driver: Driver, ids: Sequence[str]) -> None:
    await driver.ask("answer", JOB, ids)


async def _check(stage: Stage, entry: Entry, wanted: int) -> None:
    """Who waits too early or not at all, or cannot go on, is found out by what he calls."""
    calls = (await stage.upstream.counts())["answered"]
    if calls != wanted:
        raise RunBroken(f"{entry.name} made {calls} calls where {wanted} were to be made")


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
    """Resident memory, as `ps` tells it, in millions of bytes."""
    told = subprocess.run(
        ["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True
    )
    return int(told.stdout) * 1024 / 1e6


async def _started(stage: Stage, team: Team, runs: int) -> list[RunHandle]:
    places = asyncio.Semaphore(AT_ONCE)

    async def one() -> RunHandle:
        async with places:
            return await stage.start(team)

    return list(await asyncio.gather(*(one() for _ in range(runs))))


async def _quiet(stage: Stage, calls: int) -> None:
    """Until all calls were answered some seconds ago, or nobody has called for a while."""
    began = time.perf_counter()
    seen, since = -1, began
    while (now := time.perf_counter()) - since < (QUIET_SECONDS if seen < calls else REST_SECONDS):
        if now - began > PATIENCE_SECONDS:
            raise RunBroken(f"the runs did not come to rest within {PATIENCE_SECONDS:g} s")
        if (count := (await stage.upstream.counts())["answered"]) != seen:
            seen, since = count, now
        await asyncio.sleep(0.5)


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
