"""Rows about the gateway by itself: how many calls a second, and what it adds to each."""

from collections.abc import Sequence
from itertools import product

from benchmarks.figures import Aim, Figure, Sample, at_least, at_most, column, figure
from benchmarks.load import Load, load, open_keys
from benchmarks.stage import Stage

CONNECTIONS = (1, 8, 64)
KEYS = {"one key": 1, "a key each": 64}


class GatewayRate:
    """As fast as the connections go, an upstream that answers at once: the ceiling."""

    name = "gateway"
    about = "gateway calls per second with 1, 8, 64 connections, on one key and on many"
    rounds = (5, 1)
    seconds = 1.0

    async def sample(self, stage: Stage) -> Sample:
        found: Sample = {}
        for connections in CONNECTIONS:
            straight = await load(stage.upstream.url, ["none"], connections, self.seconds)
            _note(found, f"straight {connections}", straight)
            for words, count in KEYS.items():
                keys = await open_keys(stage, min(count, connections))
                through = await load(stage.gateway_url, keys, connections, self.seconds)
                _note(found, f"{words} {connections}", through)
        return found

    def figures(self, samples: Sequence[Sample]) -> list[Figure]:
        figures = []
        for connections in CONNECTIONS:
            label = f"{connections} connection{'s' if connections > 1 else ''}"
            rates = column(samples, f"straight {connections} rate")
            figures.append(figure(self.name, f"{label}, upstream alone", rates, "/s"))
            for words in KEYS:
                rates = column(samples, f"{words} {connections} rate")
                aim = _rate_aim(connections, words)
                figures.append(figure(self.name, f"{label}, {words}", rates, "/s", aim))
        added = _added(samples, "one key 1", "straight 1", "p50")
        figures.append(figure(self.name, "1 connection, added latency p50", added, "ms"))
        return figures


class GatewayLatency:
    """64 calls in flight at an upstream that takes its time, as models do.

    With one that answers at once, 64 connections only queue behind each other: then latency is
    64 divided by the calls per second, and says nothing new. Agents call when they have something
    to ask, so the calls are spread over time; all 64 in one moment are shown beside it.
    """

    name = "added"
    about = "the gateway's added latency, 64 connections at a 200 ms upstream"
    rounds = (5, 1)
    seconds = 1.5
    ways = (("spread", True), ("in one moment", False))

    async def sample(self, stage: Stage) -> Sample:
        found: Sample = {}
        for way, spread in self.ways:
            found |= await self._spell(f"straight {way}", stage.upstream.url, ["none"], spread)
            for words, count in KEYS.items():
                keys = await open_keys(stage, count)
                await load(stage.gateway_url, keys, 64, 0.05)  # its connections are made
                found |= await self._spell(f"{words} {way}", stage.gateway_url, keys, spread)
        return found

    async def _spell(self, name: str, url: str, keys: Sequence[str], spread: bool) -> Sample:
        found: Sample = {}
        _note(found, name, await load(url, keys, 64, self.seconds, 200, spread=spread))
        return found

    def figures(self, samples: Sequence[Sample]) -> list[Figure]:
        figures = []
        for (way, spread), words in product(self.ways, KEYS):
            aim = at_most(15) if spread else None
            for what in ("p50", "p99"):
                added = _added(samples, f"{words} {way}", f"straight {way}", what)
                label = f"64 connections {way}, {words}, {what}"
                figures.append(
                    figure(self.name, label, added, "ms", aim if what == "p99" else None)
                )
        return figures


def _rate_aim(connections: int, words: str) -> Aim | None:
    """One connection waits for each answer, so that it does not measure the maximum."""
    return at_least(600) if connections > 1 and words == "one key" else None


def _note(found: Sample, name: str, seen: Load) -> None:
    found[f"{name} rate"] = seen.per_second
    found[f"{name} p50"] = seen.p50
    found[f"{name} p99"] = seen.p99


def _added(samples: Sequence[Sample], ours: str, theirs: str, what: str) -> list[float]:
    """Compared round by round: the two periods of a round follow each other."""
    return [each[f"{ours} {what}"] - each[f"{theirs} {what}"] for each in samples]
