"""Row: what plain Temporal workflows take for the same jobs, which no run of ours can undercut."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from benchmarks import bare_temporal, jobs
from benchmarks.bare_temporal.workflows import TASK_QUEUE, UPSTREAM, BareFan, BareTurns
from benchmarks.figures import Figure, Sample, column, figure, ratios
from benchmarks.rows_many import ManyRuns
from benchmarks.rows_runs import plain_seconds
from benchmarks.rows_turns import TURNS, Turns
from benchmarks.stage import Stage
from durable_agent_team.contracts.tool_kinds import Effects

FANS: Final = (20, 100)
LATENCY_MS: Final = 200
TURN_OF: Final = {Effects.NONE: "an activity and a local one", Effects.ONCE: "two activities"}


class BareTemporal:
    """Each job of ours directly before the same as a plain workflow, on the same server."""

    name = "bare"
    about = "the jobs of fan, many and turns as plain Temporal workflows, without the product"
    rounds = (5, 1)

    async def sample(self, stage: Stage) -> Sample:
        more = {UPSTREAM: stage.upstream.url}
        worker = await stage.one_more_worker(bare_temporal.__name__, "bare", **more)
        try:
            await self._run(stage, BareFan, 20, 0)  # the first one opens its connections
            return {
                **await self._fans(stage),
                **await self._many(stage),
                **await self._turns(stage),
            }
        finally:
            await worker.kill()

    async def _fans(self, stage: Stage) -> Sample:
        found: Sample = {}
        for calls in FANS:
            team = jobs.fan(calls, LATENCY_MS, "tasks")
            found[f"plain {calls}"] = await plain_seconds(stage, team)
            _, found[f"ours {calls}"] = await stage.run(team)
            found[f"bare {calls}"] = await self._run(stage, BareFan, calls, LATENCY_MS)
        return found

    async def _many(self, stage: Stage) -> Sample:
        async def bare() -> None:
            await asyncio.gather(*(self._run(stage, BareFan, 3, 0) for _ in range(ManyRuns.runs)))

        return {
            "ours many": (await ManyRuns().sample(stage))["seconds"],
            "bare many": await seconds_of(bare),
        }

    async def _turns(self, stage: Stage) -> Sample:
        found = await Turns().sample(stage)
        for effects in TURN_OF:
            local = effects is Effects.NONE
            short = await self._run(stage, BareTurns, 2, local)
            whole = await self._run(stage, BareTurns, TURNS, local)
            found[f"bare {effects}"] = (whole - short) / (TURNS - 2) * 1000
        return found

    async def _run(self, stage: Stage, workflow: type, *arguments: Any) -> float:
        async def execute() -> None:
            await stage.client.execute_workflow(
                workflow.__name__,
                args=arguments,
                id=f"bare-{uuid.uuid4()}",
                task_queue=TASK_QUEUE,
            )

        return await seconds_of(execute)

    def figures(self, samples: Sequence[Sample]) -> list[Figure]:
        def ratio(label: str, ours: str, theirs: str) -> Figure:
            return figure(self.name, label, ratios(samples, ours, theirs), "x")

        def bare(label: str, name: str, unit: str, note: str = "") -> Figure:
            return figure(self.name, label, column(samples, name), unit, note=note)

        found = []
        for calls in FANS:
            label = f"N={calls} at {LATENCY_MS} ms"
            found.append(ratio(f"{label}, bare / plain", f"bare {calls}", f"plain {calls}"))
            found.append(ratio(f"{label}, one agent / bare", f"ours {calls}", f"bare {calls}"))
        label = f"{ManyRuns.runs} runs"
        found.append(bare(f"{label}, bare", "bare many", "s"))
        found.append(ratio(f"{label}, ours / bare", "ours many", "bare many"))
        for effects, activities in TURN_OF.items():
            label = f"a turn, effects: {effects}"
            found.append(bare(f"{label}, bare", f"bare {effects}", "ms", activities))
            found.append(ratio(f"{label}, ours / bare", f"{effects} ms", f"bare {effects}"))
        return found


async def seconds_of(what: Callable[[], Awaitable[None]]) -> float:
    began = time.perf_counter()
    await what()
    return time.perf_counter() - began
