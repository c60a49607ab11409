"""Rows: the duration of the same job on each contender."""

import uuid
from collections.abc import Mapping, Sequence

from benchmarks.figures import Figure, Sample, at_least, at_most, column, figure, ratios
from benchmarks.peers.field import (
    LANGGRAPH,
    OURS,
    PLAIN,
    PLAIN_AIOHTTP,
    PYDANTIC_AI,
    TITLES,
    Field,
)
from benchmarks.peers.work import CROSSED, LEVEL, Job, chains, fan
from benchmarks.stage import RunBroken


async def seconds(field: Field, name: str, job: Job, runs: int = 1) -> float:
    """One contender's time, if the upstream saw exactly the job's calls."""
    await field.stage.upstream.reset()
    took = await field.contenders[name].run(job, [uuid.uuid4().hex for _ in range(runs)])
    calls = (await field.stage.upstream.counts())["count"]
    if calls != len(job) * runs:
        raise RunBroken(f"{name} made {calls} calls where {len(job) * runs} were to be made")
    return took


class Together:
    """One job, `runs` times at once, by each contender."""

    def __init__(self, name: str, title: str, job: Job, rounds: tuple[int, int], runs: int) -> None:
        self.name = name
        self.title = title
        self.rounds = rounds
        self._job = job
        self._runs = runs

    async def sample(self, field: Field, turn: int) -> Sample:
        """The first contender changes from round to round."""
        names = list(field.contenders)
        first = turn % len(names)
        order = [*names[first:], *names[:first]]
        return {name: await seconds(field, name, self._job, self._runs) for name in order}

    def figures(self, samples: Sequence[Sample]) -> list[Figure]:
        return [
            figure(self.name, TITLES[name], [v * 1000 for v in column(samples, name)], "ms")
            for name in samples[0]
        ]


def ratio(row: str, title: str, samples: Sequence[Sample], theirs: str, **aim: float) -> Figure:
    """Ours against one of them; `at_most` or `at_least` where there is an aim."""
    wanted = at_most(aim["at_most"]) if "at_most" in aim else None
    return figure(row, title, ratios(samples, OURS, theirs), "x", wanted)


class Fan(Together):
    def __init__(self, calls: int, latency_ms: int, rounds: tuple[int, int]) -> None:
        title = f"N = {calls} at {latency_ms} ms"
        super().__init__(f"fan {calls} {latency_ms}", title, fan(calls, latency_ms), rounds, 1)
        self.calls, self.latency_ms = calls, latency_ms

    def figures(self, samples: Sequence[Sample]) -> list[Figure]:
        found = super().figures(samples)
        if (self.calls, self.latency_ms) == (100, 0):
            name = "ours / Pydantic AI on Temporal"
            found.append(ratio(self.name, name, samples, PYDANTIC_AI.name, at_most=0.5))
        if (self.calls, self.latency_ms) == (100, 200):
            name = f"ours / {PLAIN.title}"
            found.append(ratio(self.name, name, samples, PLAIN.name, at_most=1.3))
            name = f"ours / {PLAIN_AIOHTTP.title}"
            found.append(ratio(self.name, name, samples, PLAIN_AIOHTTP.name))
        return found


class Uneven(Together):
    """Against the critical path, and against super-steps."""

    def __init__(self, name: str, title: str, job: Job, rounds: tuple[int, int]) -> None:
        super().__init__(name, title, job, rounds, 1)
        self._aim = at_least(1.3) if name == "crossed" else None

    def figures(self, samples: Sequence[Sample]) -> list[Figure]:
        faster = ratios(samples, LANGGRAPH.name, OURS)
        path = self._job.critical_path_seconds() * 1000
        return [
            figure(self.name, "critical path", [path], "ms"),
            *super().figures(samples),
            figure(self.name, f"{LANGGRAPH.title} / ours", faster, "x", self._aim),
        ]


def growth(samples: Mapping[str, Sequence[Sample]]) -> list[Figure]:
    """The cost of one of our calls in a run of 500, divided by one of 100: 1 is linear."""
    large, small = (samples.get(f"fan {calls} 0", ()) for calls in (500, 100))
    grown = [
        (big[OURS] / len(fan(500, 0))) / (little[OURS] / len(fan(100, 0)))
        for big, little in zip(large, small, strict=False)
    ]
    title = "ours, a call at N = 500 / a call at N = 100, 0 ms"
    return [figure("growth", title, grown, "x", at_most(1.15))] if grown else []


SPEED = (
    *(Fan(calls, ms, (5, 1)) for calls in (3, 20, 100) for ms in (0, 200)),
    *(Fan(500, ms, (3, 0)) for ms in (0, 200)),
    Together("many 0", "50 runs of N = 3 at once, 0 ms", fan(3, 0), (3, 0), 50),
    Together("many 200", "50 runs of N = 3 at once, 200 ms", fan(3, 200), (3, 0), 50),
    Uneven("crossed", "many short calls beside few long ones", chains(CROSSED), (3, 1)),
    Uneven("level", "the longest chains have the longest calls", chains(LEVEL), (2, 0)),
)
