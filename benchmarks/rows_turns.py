"""Row: the turns of an agent with tools: milliseconds and bytes of history a turn."""

import time
from collections.abc import Sequence

from benchmarks import turns
from benchmarks.figures import Figure, Sample, at_most, column, figure
from benchmarks.stage import Stage
from durable_agent_team.contracts.tool_kinds import Effects

TURNS = 50
MOST_MS = {Effects.NONE: 15.0, Effects.ONCE: 20.0}
MOST_BYTES_A_TURN = 7_168
MOST_BYTES = 400 * 1_024


class Turns:
    """A Python function with results of 2 KB, without effects and with effects of kind `once`."""

    name = "turns"
    about = "50 turns of an agent with tools, results of 2 KB, at zero latency"
    rounds = (5, 2)

    async def sample(self, stage: Stage) -> Sample:
        found: Sample = {}
        for effects in MOST_MS:
            # What every run has, such as its accounts and the list of its tools, is no turn's.
            short, first_seconds = await self._run(stage, 2, effects)
            size, seconds = await self._run(stage, TURNS, effects)
            found[f"{effects} ms"] = (seconds - first_seconds) / (TURNS - 2) * 1000
            found[f"{effects} bytes"] = size
            found[f"{effects} bytes a turn"] = (size - short) / (TURNS - 2)
        return found

    async def _run(self, stage: Stage, count: int, effects: Effects) -> tuple[int, float]:
        """The bytes of its history, and its seconds."""
        team = turns.team(turns.order("look_up", count), effects)
        began = time.perf_counter()
        handle = await stage.start(team)
        report = await handle.result()
        seconds = time.perf_counter() - began
        turns.check(report, count)
        return await history_bytes(stage, handle.id), seconds

    def figures(self, samples: Sequence[Sample]) -> list[Figure]:
        figures = []
        for effects, most_ms in MOST_MS.items():
            note = f"effects: {effects}"
            each = column(samples, f"{effects} bytes a turn")
            figures += [
                figure(
                    self.name,
                    "a turn",
                    column(samples, f"{effects} ms"),
                    "ms",
                    at_most(most_ms),
                    note,
                ),
                figure(self.name, "history a turn", each, "B", at_most(MOST_BYTES_A_TURN), note),
                figure(
                    self.name,
                    f"history of {TURNS} turns",
                    column(samples, f"{effects} bytes"),
                    "B",
                    at_most(MOST_BYTES),
                    note,
                ),
            ]
        return figures


async def history_bytes(stage: Stage, run: str) -> int:
    """Of the last execution of a run."""
    described = await stage.client.get_workflow_handle(run).describe()
    return int(described.raw_description.workflow_execution_info.history_size_bytes)
