"""Rows about long runs: a task late in a run costs what one early in it does."""

from collections.abc import Sequence

from benchmarks import jobs
from benchmarks.figures import Aim, Figure, Sample, at_most, column, figure, ratios
from benchmarks.stage import Stage
from durable_agent_team.client.run_executions import read_executions

SHORT = 500
AT_ONCE = 100


class Long:
    """One run of many tasks against one of 500: it continues as new again and again."""

    def __init__(self, tasks: int, rounds: tuple[int, int], aim: Aim | None = None) -> None:
        self.name = f"long-{tasks}"
        self.about = f"the price of a task in a run of {tasks} against that in one of {SHORT}"
        self.rounds = rounds
        self._tasks = tasks
        self._aim = aim

    async def sample(self, stage: Stage) -> Sample:
        found: Sample = {}
        for count in (SHORT, self._tasks):
            team = jobs.fan(count, 0, "tasks", synthesis=False)
            team = team.model_copy(update={"max_parallel": AT_ONCE})
            handle, seconds = await stage.run(team)
            executions = await read_executions(stage.client, handle.id)
            found[f"{count} ms"] = seconds * 1000 / count
            found[f"{count} executions"] = len(executions)
            found[f"{count} events"] = max(len(events) for events in executions)
        return found

    def figures(self, samples: Sequence[Sample]) -> list[Figure]:
        long = str(self._tasks)
        counted = int(samples[0][f"{long} executions"])
        most = column(samples, f"{long} events")
        price = f"a task of {long} / of {SHORT}"
        both = ratios(samples, f"{long} ms", f"{SHORT} ms")
        return [
            figure(self.name, f"a task of {SHORT}", column(samples, f"{SHORT} ms"), "ms"),
            figure(self.name, f"a task of {long}", column(samples, f"{long} ms"), "ms"),
            figure(self.name, price, both, "x", self._aim, f"{counted} executions"),
            figure(self.name, "events of the longest execution", most, "", at_most(3_000)),
        ]


def long_1000() -> Long:
    return Long(1_000, rounds=(2, 1))


def long_5000() -> Long:
    return Long(5_000, rounds=(1, 0), aim=at_most(1.2))
