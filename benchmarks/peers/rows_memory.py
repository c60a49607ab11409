"""Row: memory that a thousand open runs need in the process that holds them."""

from collections.abc import Sequence
from dataclasses import asdict

from benchmarks.figures import Figure, Sample, at_most, column, figure
from benchmarks.peers import open_runs
from benchmarks.peers.field import (
    DBOS,
    LANGGRAPH,
    LANGGRAPH_TASKS,
    OURS,
    PLAIN_AIOHTTP,
    PYDANTIC_AI,
    Field,
)

RUNS = 1_000
KEPT = f"{OURS} kept"
HOLDERS = (PLAIN_AIOHTTP, LANGGRAPH, LANGGRAPH_TASKS, DBOS, PYDANTIC_AI)
TITLES = {
    **{entry.name: entry.title for entry in HOLDERS},
    PLAIN_AIOHTTP.name: f"{PLAIN_AIOHTTP.title} (not durable)",
    OURS: "ours",
    KEPT: "ours, kept in memory while they wait",
}
MEASURED = (("idle", "idle"), ("open", "with these open"), ("per_1000", "above idle, for 1,000"))


class OpenRuns:
    """Each has made its plan and three calls, and awaits a decision before the synthesis."""

    name = "memory"
    title = "memory of the process with 1,000 runs open in the middle"

    def __init__(self, rounds: tuple[int, int], runs: int = RUNS) -> None:
        self.rounds = rounds
        self._runs = runs

    async def sample(self, field: Field, turn: int) -> Sample:
        """Of all contenders, one after the other, by name and measurement."""
        held = {entry.name: await open_runs.of_peer(field, entry, self._runs) for entry in HOLDERS}
        held[OURS] = await open_runs.ours(field.stage, self._runs)
        held[KEPT] = await open_runs.ours_kept(field.stage, self._runs)
        return {
            f"{name} {what}": value
            for name, each in held.items()
            for what, value in {**asdict(each), "per_1000": each.per_1000}.items()
        }

    def figures(self, samples: Sequence[Sample]) -> list[Figure]:
        found = []
        for name, title in TITLES.items():
            runs = round(min(column(samples, f"{name} runs")))
            for what, words in MEASURED:
                aim = at_most(100) if (name, what) == (OURS, "per_1000") else None
                values = column(samples, f"{name} {what}")
                note = "" if runs == self._runs else f"{runs} were open"
                found.append(figure(self.name, f"{title}: {words}", values, "MB", aim, note))
        return found
