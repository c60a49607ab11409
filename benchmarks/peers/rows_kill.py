"""Rows: all contenders are killed at the same point and restarted at once."""

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from benchmarks.figures import Figure, Sample, at_most, column, figure
from benchmarks.peers.driver import Driver
from benchmarks.peers.field import OURS, TITLES, Entry, Field
from benchmarks.peers.work import as_team, spread
from benchmarks.stage import RunBroken, Stage, check
from benchmarks.upstream import latency
from durable_agent_team.client.runs import RunHandle

QUICK_CALLS = 10
SLOW_MS = 1500
JOB = spread([200] * QUICK_CALLS + [SLOW_MS] * 10, 200)
"""N = 20: ten calls of 200 ms, answered before the kill, and ten that are in flight."""

SETTLE_SECONDS = 0.15
"""From the tenth answer to the kill: time to write it down, for those who do."""

LONGEST_SECONDS = 150.0


class NotInTheMiddle(RunBroken):
    """The run was elsewhere when it was to be killed: a busy machine."""


class Victim(Protocol):
    async def warm(self) -> None:
        """Loads and connects everything before the measurement."""
        ...

    async def begin(self) -> None: ...

    async def kill(self) -> None: ...

    async def go_on(self) -> None:
        """Restarts it, resumes the run where the engine requires that, and waits for its result."""
        ...

    async def tidy(self) -> None: ...


class PeerVictim:
    """A process of its own, with data of its own."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._id = uuid.uuid4().hex

    async def warm(self) -> None:
        await self._driver.start()
        await self._driver.run(JOB, [uuid.uuid4().hex])

    async def begin(self) -> None:
        self._first = asyncio.create_task(self._driver.run(JOB, [self._id]))

    async def kill(self) -> None:
        await self._driver.kill()
        await asyncio.gather(self._first, return_exceptions=True)

    async def go_on(self) -> None:
        await self._driver.start()
        await self._driver.ask("resume", JOB, [self._id])

    async def tidy(self) -> None:
        await self._driver.kill()


class OurVictim:
    """The worker dies; the client that started the run does not."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._team = as_team(JOB, "tasks")
        self._handle: RunHandle | None = None

    async def warm(self) -> None:
        await self._stage.run(self._team)

    async def begin(self) -> None:
        self._handle = await self._stage.start(self._team)

    async def kill(self) -> None:
        await self._stage.worker.kill()

    async def go_on(self) -> None:
        assert self._handle is not None
        await self._stage.worker.start()
        check(await self._handle.result(), self._team)

    async def tidy(self) -> None:
        await self._stage.worker.line("worker ready")
        await self._stage.warm()


class Killed:
    """Kills one contender. The upstream's requests show what was paid twice."""

    def __init__(self, entry: Entry | None, rounds: tuple[int, int]) -> None:
        self._entry = entry
        self._who = entry.name if entry else OURS
        self.name = f"kill {self._who}"
        self.title = TITLES[self._who]
        self.rounds = rounds

    async def sample(self, field: Field, turn: int) -> Sample:
        tries = 3
        while True:
            tries -= 1
            try:
                return await self._try(field)
            except NotInTheMiddle:
                if not tries:
                    raise

    async def _try(self, field: Field) -> Sample:
        stage = field.stage
        victim = await self._victim(field)
        try:
            await victim.warm()
            await stage.upstream.reset()
            return await self._killed(stage, victim)
        finally:
            await victim.tidy()

    async def _victim(self, field: Field) -> Victim:
        entry = self._entry
        return PeerVictim(field.driver(entry)) if entry else OurVictim(field.stage)

    async def _killed(self, stage: Stage, victim: Victim) -> Sample:
        await victim.begin()
        await _until(stage, lambda seen: seen["answered"] >= 1 + QUICK_CALLS)
        await asyncio.sleep(SETTLE_SECONDS)
        counts = await stage.upstream.counts()
        answered, calls = counts["answered"], counts["count"]
        if answered != 1 + QUICK_CALLS or calls != len(JOB) - 1:
            raise NotInTheMiddle(f"{self._who}: {answered} answers, {calls} calls")
        await victim.kill()
        killed = time.perf_counter()
        going = asyncio.create_task(victim.go_on())
        try:
            first = await _asked(stage, going, killed, calls)
            new = await _new(stage, going, killed)
            await asyncio.wait_for(going, LONGEST_SECONDS)
        finally:
            going.cancel()
        done = time.perf_counter() - killed
        again = _again(await stage.upstream.requests())
        slow = sum(again[call.ask] for call in JOB.calls if latency(SLOW_MS) in call.ask)
        return {
            "first": first,
            "new": new,
            "done": done,
            "paid twice": sum(again.values()),
            "answered again": sum(again.values()) - slow,
            "in flight again": slow,
        }

    def figures(self, samples: Sequence[Sample]) -> list[Figure]:
        ours = self._entry is None
        zero = at_most(0) if ours else None
        name = self.title
        return [
            figure(self.name, f"{name}: calls paid twice", column(samples, "paid twice"), "", zero),
            figure(
                self.name,
                f"{name}: of them answered before the kill (work lost)",
                column(samples, "answered again"),
                "",
                zero,
            ),
            figure(self.name, f"{name}: kill to next new call", column(samples, "new"), "s"),
            figure(self.name, f"{name}: kill to the end of the run", column(samples, "done"), "s"),
        ]


def _again(requests: Sequence[dict[str, Any]]) -> Counter[str]:
    """How often each ask came more than once."""
    seen = Counter(
        call.ask for request in requests for call in JOB.calls if call.ask in request["text"]
    )
    return Counter({ask: count - 1 for ask, count in seen.items() if count > 1})


async def _until(stage: Stage, reached: Callable[[dict[str, Any]], bool]) -> None:
    began = time.perf_counter()
    while not reached(await stage.upstream.counts()):
        if time.perf_counter() - began > LONGEST_SECONDS:
            raise RunBroken(f"not reached within {LONGEST_SECONDS:g} s")
        await asyncio.sleep(0.005)


async def _asked(stage: Stage, going: Awaitable[None], killed: float, before: int) -> float:
    """Seconds from the kill to the first call after it, whichever it is."""
    await _unless_done(_until(stage, lambda seen: seen["count"] > before), going)
    return time.perf_counter() - killed


async def _new(stage: Stage, going: Awaitable[None], killed: float) -> float:
    """Seconds from the kill to the first call that was never made before: the synthesis."""
    brief = JOB.calls[-1].ask

    async def seen() -> None:
        while sum(brief in each["text"] for each in await stage.upstream.requests()) < 1:
            await asyncio.sleep(0.01)

    await _unless_done(seen(), going)
    return time.perf_counter() - killed


async def _unless_done(waiting: Awaitable[None], going: Awaitable[None]) -> None:
    """What went wrong in `going` is raised here, and not waited for."""
    task = asyncio.ensure_future(waiting)
    other = asyncio.ensure_future(going)
    await asyncio.wait({task, other}, return_when=asyncio.FIRST_COMPLETED, timeout=LONGEST_SECONDS)
    if other.done():
        other.result()
    if not task.done():
        await asyncio.wait({task}, timeout=1)
    if not task.done():
        task.cancel()
        raise RunBroken(f"no call within {LONGEST_SECONDS:g} s of the kill")
    task.result()
