"""Row: what our worker needs for a thousand runs that are open."""

import asyncio
import contextlib
import subprocess
import time
from collections.abc import Sequence
from decimal import Decimal

from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError

from benchmarks import jobs
from benchmarks.figures import Figure, Sample, at_most, column, figure
from benchmarks.peers.field import Field
from benchmarks.peers.work import as_team, fan
from benchmarks.stage import RunBroken, Stage
from contracts.team import Team
from runtime.runs import RunHandle

RUNS = 1_000
AT_ONCE = 20
"""Starts in flight: a thousand in one moment would measure something else."""

TOO_LITTLE = Decimal("0.0005")
PATIENCE_SECONDS = 300.0
QUIET_SECONDS = 30.0


class OpenRuns:
    """Each has made its plan and three calls, and is parked: its last agent lacks the money."""

    name = "memory"
    title = "memory of our worker with 1,000 runs parked in the middle"

    def __init__(self, rounds: tuple[int, int], runs: int = RUNS) -> None:
        self.rounds = rounds
        self._runs = runs

    async def sample(self, field: Field, turn: int) -> Sample:
        stage = field.stage
        await stage.replace_worker()
        await stage.warm()
        await stage.upstream.reset()
        idle = megabytes(stage.worker.pid)
        handles = await _started(stage, parking_team(), self._runs)
        try:
            await _quiet(stage, 4 * self._runs)
            loaded = megabytes(stage.worker.pid)
            still = await _open(stage, handles)
            calls = (await stage.upstream.counts())["answered"]
        finally:
            await _terminated(stage, handles)
            await stage.replace_worker()
            await stage.warm()
        if still < 0.9 * self._runs:
            raise RunBroken(f"of {self._runs} runs that were to park only {still} are open")
        if calls < 4 * still:
            raise RunBroken(f"{still} runs are open, and made {calls} calls instead of four each")
        return {
            "idle": idle,
            "open runs": still,
            "open": loaded,
            "per 1,000": (loaded - idle) * 1000 / still,
        }

    def figures(self, samples: Sequence[Sample]) -> list[Figure]:
        return [
            figure(self.name, "idle, after 40 runs", column(samples, "idle"), "MB"),
            figure(self.name, "open runs", column(samples, "open runs"), ""),
            figure(self.name, "with these open", column(samples, "open"), "MB"),
            figure(
                self.name,
                "above idle, for 1,000 open runs",
                column(samples, "per 1,000"),
                "MB",
                at_most(100),
            ),
        ]


def parking_team() -> Team:
    """N = 3, and an editor who cannot pay for the synthesis."""
    team = as_team(fan(3, 0), "tasks")
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
    """Until all calls were answered 5 s ago, or until nobody has called for a while."""
    began = time.perf_counter()
    seen, since = -1, began
    while (now := time.perf_counter()) - since < (QUIET_SECONDS if seen < calls else 5):
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
