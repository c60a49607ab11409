"""Rows about whole runs: against plain asyncio, the critical path, and in bytes of history."""

import time
from collections.abc import Sequence
from itertools import product

from benchmarks import jobs
from benchmarks.figures import (
    Figure,
    Sample,
    at_most,
    column,
    figure,
    ratios,
)
from benchmarks.stage import Stage
from benchmarks.upstream import KILOBYTE, SIXTY_KILOBYTES
from durable_agent_team.contracts.team import Team


async def plain_seconds(stage: Stage, team: Team) -> float:
    began = time.perf_counter()
    await jobs.plain(team, stage.http, stage.upstream.url)
    return time.perf_counter() - began


class Fan:
    """A plan, N calls in parallel and a synthesis, with N agents and with one, and in asyncio."""

    name = "fan"
    about = "a plan, N parallel calls and a synthesis, against plain asyncio with httpx"
    rounds = (7, 2)
    shapes: tuple[tuple[jobs.Shape, str], ...] = (
        ("accounts", "N agents"),
        ("tasks", "one agent"),
    )
    cases = tuple(product((20, 100), (0, 200)))

    async def sample(self, stage: Stage) -> Sample:
        found: Sample = {}
        for calls, latency_ms in self.cases:
            case = f"{calls} {latency_ms}"
            found[f"plain {case}"] = await plain_seconds(
                stage, jobs.fan(calls, latency_ms, "tasks")
            )
            for shape, _ in self.shapes:
                _, seconds = await stage.run(jobs.fan(calls, latency_ms, shape))
                found[f"{shape} {case}"] = seconds
        return found

    def figures(self, samples: Sequence[Sample]) -> list[Figure]:
        figures = []
        for calls, latency_ms in self.cases:
            case = f"{calls} {latency_ms}"
            label = f"N={calls} at {latency_ms} ms"
            plain = [value * 1000 for value in column(samples, f"plain {case}")]
            figures.append(figure(self.name, f"{label}, plain", plain, "ms"))
            for shape, words in self.shapes:
                name = f"{shape} {case}"
                ours = [value * 1000 for value in column(samples, name)]
                figures.append(figure(self.name, f"{label}, {words}", ours, "ms"))
                if latency_ms == 0:
                    each = [value / (calls + 2) for value in ours]
                    aim = at_most(6) if calls == 100 else None
                    figures.append(figure(self.name, f"{label}, {words}, a call", each, "ms", aim))
                else:
                    aim = at_most(1.15) if calls == 20 else None
                    beside = ratios(samples, name, f"plain {case}")
                    figures.append(figure(self.name, f"{label}, {words} / plain", beside, "x", aim))
        return figures


class Uneven:
    """Two long chains next to eight short ones: no wave may make the long ones wait."""

    name = "uneven"
    about = "an uneven graph (long chains beside short ones) against its critical path"
    rounds = (5, 1)
    lengths = ((6, 500), (6, 500), *[(3, 200)] * 8)

    async def sample(self, stage: Stage) -> Sample:
        team = jobs.chains(self.lengths)
        _, seconds = await stage.run(team)
        return {
            "ours": seconds,
            "path": jobs.critical_path_seconds(team),
            "plain": await plain_seconds(stage, team),
        }

    def figures(self, samples: Sequence[Sample]) -> list[Figure]:
        path = samples[0]["path"]
        over = [(ours - path) * 1000 for ours in column(samples, "ours")]
        return [
            figure(
                self.name,
                "run / critical path",
                ratios(samples, "ours", "path"),
                "x",
                at_most(1.05),
                f"{path:g} s",
            ),
            figure(self.name, "plain / critical path", ratios(samples, "plain", "path"), "x"),
            figure(self.name, "above the critical path", over, "ms"),
        ]


class History:
    """Events and bytes that a call adds to Temporal's history; answers have 1 KB, or 60 KB."""

    name = "history"
    about = "events and bytes of history a call, with answers of 1 KB and of 60 KB"
    rounds = (3, 1)
    cases = (
        ("apart", 100, KILOBYTE, False, "1 KB"),
        ("joined", 100, KILOBYTE, True, "1 KB, with a synthesis that reads all answers"),
        ("long", 100, SIXTY_KILOBYTES, False, "60 KB"),
        ("long joined", 20, SIXTY_KILOBYTES, True, "60 KB, a run of 22 calls"),
    )

    async def sample(self, stage: Stage) -> Sample:
        found: Sample = {}
        for name, calls, answer, synthesis, _ in self.cases:
            team = jobs.fan(calls, 50, "tasks", answer=answer, synthesis=synthesis)
            handle, _ = await stage.run(team)
            described = await stage.client.get_workflow_handle(handle.id).describe()
            info = described.raw_description.workflow_execution_info
            found[f"{name} events"] = info.history_length / len(team.tasks)
            found[f"{name} bytes"] = info.history_size_bytes / len(team.tasks)
        return found

    def figures(self, samples: Sequence[Sample]) -> list[Figure]:
        figures = []
        for name, calls, _, _, words in self.cases:
            many = calls >= 100  # in a shorter run, what every run has is in the figure
            events = column(samples, f"{name} events")
            size = column(samples, f"{name} bytes")
            figures += [
                figure(
                    self.name, "events a call", events, "", at_most(4.5) if many else None, words
                ),
                figure(
                    self.name, "bytes a call", size, "B", at_most(2048) if many else None, words
                ),
            ]
        return figures
