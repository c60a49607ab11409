"""Rows: the peers with our gateway as their base URL, killed at the same point, and what it costs.

Nothing else of a peer changes. Its process is one attempt of a scope: the address has the scope and
a number, which the next process after a kill has one higher.
"""

import asyncio
import statistics
import uuid
from collections.abc import Sequence

from benchmarks.figures import Figure, Sample, at_most, column, figure
from benchmarks.peers.driver import Driver
from benchmarks.peers.field import Entry, Field
from benchmarks.peers.rows_kill import JOB as KILLED_JOB
from benchmarks.peers.rows_kill import Killed, Victim
from benchmarks.peers.work import fan
from benchmarks.stage import RunBroken, Stage

FAST = fan(20, 0)
"""N = 20 without latency: what remains is overhead."""
REPEATS = 5
BUDGET_USD = 1000


class Scope:
    """An account of its own, and the addresses of its attempts."""

    def __init__(self, stage: Stage, api_key: str) -> None:
        self._gateway = stage.gateway_url.removesuffix("/v1")
        self._api_key = api_key
        self._name = uuid.uuid4().hex
        self._attempt = 0

    @classmethod
    async def opened(cls, stage: Stage) -> "Scope":
        answer = await stage.http.post(
            f"{stage.gateway_url}/agents",
            json={"name": "peer", "budget": BUDGET_USD},
            headers={"Authorization": f"Bearer {stage.parent_key}"},
        )
        answer.raise_for_status()
        return cls(stage, answer.json()["api_key"])

    def next_attempt(self) -> tuple[str, ...]:
        """A driver's options."""
        self._attempt += 1
        address = f"{self._gateway}/scopes/{self._name}/{self._attempt}/v1"
        return ("--upstream", address, "--api-key", self._api_key)


class ScopedVictim:
    """As `PeerVictim`, behind the gateway. It warms up with other prompts: the same ones, in the
    same scope, would be replayed."""

    def __init__(self, driver: Driver, scope: Scope) -> None:
        self._driver = driver
        self._scope = scope
        self._id = uuid.uuid4().hex

    async def warm(self) -> None:
        await self._driver.start(*self._scope.next_attempt())
        await self._driver.run(FAST, [uuid.uuid4().hex])

    async def begin(self) -> None:
        self._first = asyncio.create_task(self._driver.run(KILLED_JOB, [self._id]))

    async def kill(self) -> None:
        await self._driver.kill()
        await asyncio.gather(self._first, return_exceptions=True)

    async def go_on(self) -> None:
        await self._driver.start(*self._scope.next_attempt())
        await self._driver.ask("resume", KILLED_JOB, [self._id])

    async def tidy(self) -> None:
        await self._driver.kill()


class Behind(Killed):
    """A kill behind the gateway, then the same job with the gateway and without it."""

    def __init__(self, entry: Entry, rounds: tuple[int, int]) -> None:
        super().__init__(entry, rounds)
        self._peer = entry
        self.name = f"behind {entry.name}"
        self.title = f"{entry.title}, behind our gateway"

    async def sample(self, field: Field, turn: int) -> Sample:
        return {**await super().sample(field, turn), **await self._overhead(field)}

    async def _victim(self, field: Field) -> Victim:
        return ScopedVictim(field.driver(self._peer), await Scope.opened(field.stage))

    async def _overhead(self, field: Field) -> Sample:
        """Milliseconds a job, the median of a few that take turns."""
        scope = await Scope.opened(field.stage)
        direct, behind = field.driver(self._peer), field.driver(self._peer)
        try:
            await direct.start()
            direct_ms = await self._median(field, direct)
            await direct.kill()  # with Temporal, only one of them may take the tasks
            await behind.start(*scope.next_attempt())
            behind_ms = await self._median(field, behind)
        finally:
            await direct.kill()
            await behind.kill()
        return {
            "direct ms": direct_ms,
            "behind ms": behind_ms,
            "ms a call": (behind_ms - direct_ms) / len(FAST),
        }

    async def _median(self, field: Field, driver: Driver) -> float:
        await driver.run(FAST, [uuid.uuid4().hex])
        await field.stage.upstream.reset()
        seconds = [await driver.run(FAST, [uuid.uuid4().hex]) for _ in range(REPEATS)]
        calls = (await field.stage.upstream.counts())["count"]
        if calls != REPEATS * len(FAST):
            raise RunBroken(f"{self.name}: {calls} calls, not {REPEATS * len(FAST)}")
        return statistics.median(seconds) * 1000

    def figures(self, samples: Sequence[Sample]) -> list[Figure]:
        def of(words: str, key: str, unit: str, zero: bool = False) -> Figure:
            aim = at_most(0) if zero else None
            return figure(self.name, f"{self.title}: {words}", column(samples, key), unit, aim)

        return [
            of("calls paid twice", "paid twice", "", zero=True),
            of("kill to the end of the run", "done", "s"),
            of("a job directly", "direct ms", "ms"),
            of("a job through the gateway", "behind ms", "ms"),
            of("the gateway's share of a call", "ms a call", "ms"),
        ]
