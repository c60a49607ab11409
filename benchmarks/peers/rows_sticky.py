"""Row: the cost of the short sticky timeout when a worker stalls for longer than that."""

import asyncio
import os
import signal
import time
from collections.abc import Sequence
from itertools import product
from pathlib import Path

from temporalio.api.enums.v1 import EventType

from benchmarks.figures import Figure, Sample, column, figure
from benchmarks.peers import sticky_worker
from benchmarks.peers.field import Field
from benchmarks.peers.work import as_team, chains
from benchmarks.process import Process
from benchmarks.stage import Stage, check
from durable_agent_team.client.runs import RunHandle

RUNS = 20
JOB = chains(((6, 200),) * 5)
STALL_AFTER_SECONDS = 1.0
STALL_SECONDS = 2.0
STICKY_SECONDS = (1, 10)
MEASURED = (
    ("all runs", "s"),
    ("CPU of the workers", "s"),
    ("replays in full", ""),
    ("workflow tasks timed out", ""),
)


WORKERS = (1, 2)


class Stalled:
    """20 runs at once, about 100 calls in flight; a worker is frozen for 2 s.

    A frozen worker's own calls do not end, and eager calls run where their workflow is: so that
    something waits for its memory at all, every run gets a signal (one that changes nothing).
    """

    name = "sticky"
    title = "a worker frozen for 2 s, sticky timeout of 1 s and of 10 s"

    def __init__(self, rounds: tuple[int, int]) -> None:
        self.rounds = rounds

    async def sample(self, field: Field, turn: int) -> Sample:
        found: Sample = {}
        try:
            for workers, sticky in product(WORKERS, STICKY_SECONDS):
                seen = await _runs(field.stage, workers, sticky)
                found |= {f"{workers} {sticky} {name}": value for name, value in seen.items()}
        finally:
            await field.stage.replace_worker()
            await field.stage.warm()
        return found

    def figures(self, samples: Sequence[Sample]) -> list[Figure]:
        found = []
        for workers, sticky in product(WORKERS, STICKY_SECONDS):
            for what, unit in MEASURED:
                values = column(samples, f"{workers} {sticky} {what}")
                name = f"one of {workers} frozen, sticky {sticky} s: {what}"
                found.append(figure(self.name, name, values, unit))
        return found


async def _runs(stage: Stage, count: int, sticky: int) -> Sample:
    """Executes all runs on this many workers with this sticky timeout."""
    await stage.worker.kill()
    workers: list[Process] = []
    try:
        for number in range(count):
            more = {sticky_worker.STICKY: str(sticky)}
            module = sticky_worker.__name__
            workers.append(await stage.one_more_worker(module, f"sticky-{number}", **more))
        for _ in workers:
            await stage.warm()
        return await _measured(stage, workers)
    finally:
        for each in workers:
            await each.kill()


async def _measured(stage: Stage, workers: Sequence[Process]) -> Sample:
    made = _made(workers)
    spent = _spent(workers)
    team = as_team(JOB, "tasks")
    began = time.perf_counter()
    handles = await asyncio.gather(*(stage.start(team) for _ in range(RUNS)))
    await asyncio.sleep(max(0, began + STALL_AFTER_SECONDS - time.perf_counter()))
    workers[0].send(signal.SIGSTOP)
    frozen = time.perf_counter()
    await asyncio.gather(*(_nudge(stage, each) for each in handles))
    await asyncio.sleep(max(0, frozen + STALL_SECONDS - time.perf_counter()))
    workers[0].send(signal.SIGCONT)
    for handle in handles:
        check(await handle.result(), team)
    return {
        "all runs": time.perf_counter() - began,
        "CPU of the workers": _spent(workers) - spent,
        "replays in full": _made(workers) - made - RUNS,
        "workflow tasks timed out": sum([await _timed_out(stage, each) for each in handles]),
    }


def _made(workers: Sequence[Process]) -> int:
    return sum(each.text().count(sticky_worker.MADE) for each in workers)


def _spent(workers: Sequence[Process]) -> float:
    return sum(cpu_seconds(each.pid) for each in workers)


async def _nudge(stage: Stage, handle: RunHandle) -> None:
    await stage.client.get_workflow_handle(handle.id).signal("resume", {})


async def _timed_out(stage: Stage, handle: RunHandle) -> int:
    wanted = EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT
    events = stage.client.get_workflow_handle(handle.id).fetch_history_events()
    return sum([event.event_type == wanted async for event in events])


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, in all its threads. Only Linux reports it this finely."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
