"""Rows about many runs at once: their time and CPU, and whether every start comes through."""

import asyncio
import os
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import jobs
from benchmarks.figures import Figure, Sample, at_most, column, figure
from benchmarks.stage import Stage

TICKS = os.sysconf("SC_CLK_TCK")


class ManyRuns:
    """Small runs at once: what a run costs besides its calls is most of it."""

    name = "many"
    about = "50 runs of a plan, three parallel calls and a synthesis at once: time, and CPU a run"
    rounds = (5, 1)
    runs = 50

    async def sample(self, stage: Stage) -> Sample:
        team = jobs.fan(3, 0, "accounts")
        before = cpu_seconds(stage)
        began = time.perf_counter()
        done = await asyncio.gather(*(stage.run(team) for _ in range(self.runs)))
        found = {"seconds": time.perf_counter() - began}
        for part, seconds in cpu_seconds(stage).items():
            found[f"{part} cpu"] = (seconds - before[part]) / self.runs
        handle, _ = done[0]
        described = await stage.client.get_workflow_handle(handle.id).describe()
        info = described.raw_description.workflow_execution_info
        return {**found, "events": info.history_length}

    def figures(self, samples: Sequence[Sample]) -> list[Figure]:
        parts = [name for name in samples[0] if name.endswith(" cpu")]
        shown = [figure(self.name, f"{self.runs} runs", column(samples, "seconds"), "s")]
        whole = [sum(sample[part] for part in parts) * 1000 for sample in samples]
        shown.append(figure(self.name, "CPU a run", whole, "ms"))
        for part in parts:
            values = [value * 1000 for value in column(samples, part)]
            shown.append(figure(self.name, f"CPU a run, {part.removesuffix(' cpu')}", values, "ms"))
        return [*shown, figure(self.name, "events a run", column(samples, "events"), "")]


class ManyStarts:
    """Runs of one call, all started in one moment by one client."""

    name = "starts"
    about = "1,000 runs started at once: the starts that failed, and the slowest"
    rounds = (1, 0)
    runs = 1_000

    async def sample(self, stage: Stage) -> Sample:
        team = jobs.chains([(1, 0)], synthesis=False)
        began = time.perf_counter()
        taken: list[float] = []

        async def run() -> None:
            handle = await stage.start(team)
            taken.append(time.perf_counter() - began)
            await handle.result()

        done = await asyncio.gather(*(run() for _ in range(self.runs)), return_exceptions=True)
        return {
            "failed": float(sum(isinstance(each, BaseException) for each in done)),
            "slowest start": max(taken),
            "seconds": time.perf_counter() - began,
        }

    def figures(self, samples: Sequence[Sample]) -> list[Figure]:
        label = f"{self.runs} runs at once"
        return [
            figure(self.name, f"{label}, failed", column(samples, "failed"), "", at_most(0)),
            figure(self.name, f"{label}, last start", column(samples, "slowest start"), "s"),
            figure(self.name, f"{label}, all done", column(samples, "seconds"), "s"),
        ]


def cpu_seconds(stage: Stage) -> dict[str, float]:
    """What each process has used so far; nothing where there is no /proc."""
    return {
        name: _cpu_seconds(process.pid)
        for name, process in stage.processes.items()
        if Path("/proc/self/stat").exists()
    }


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS  # utime and stime
