"""Rows: an agent with tools, beside those of Temporal's OpenAI plugin and of Pydantic AI.

The same scripted model orders the same tools (`benchmarks.tools.functions`), and every engine runs
on the same Temporal server. A turn is a call of the model and one of a tool.
"""

import asyncio
import contextlib
import tempfile
import time
import uuid
from collections.abc import Awaitable, Sequence
from pathlib import Path

from benchmarks import turns
from benchmarks.figures import Figure, Sample, at_most, column, figure, ratios
from benchmarks.peers.driver import PeerFailed
from benchmarks.peers.field import TOOLS_OPENAI, TOOLS_PYDANTIC_AI, Entry, Field
from benchmarks.peers.work import Call, Job
from benchmarks.rows_turns import history_bytes
from benchmarks.stage import RunBroken, Stage
from durable_agent_team.client.exceptions import NoWorker
from durable_agent_team.client.runs import RunHandle
from durable_agent_team.contracts.effects import EffectDecision
from durable_agent_team.contracts.team import Team
from durable_agent_team.contracts.tool_kinds import Effects

TURNS = 50
ENTRIES = (TOOLS_OPENAI, TOOLS_PYDANTIC_AI)
OURS = {Effects.NONE: "ours, effects: none", Effects.ONCE: "ours, effects: once"}
TOOL_SECONDS = 2.0
"""How long the tool takes that is killed in its middle."""
MOST_TOOL_SECONDS = 5.0
"""The time limit of a tool, everywhere: the peers notice by it that a worker is gone."""
LONGEST_SECONDS = 90.0


def job(ask: str) -> Job:
    return Job((Call("t0", ask),))


class Tools:
    """Turns at zero latency with 2 KB results: milliseconds a turn, and bytes of history."""

    name = "tools"
    title = f"{TURNS} turns with tools"
    rounds = (5, 1)

    async def sample(self, field: Field, turn: int) -> Sample:
        found: Sample = {}
        ask = turns.order("look_up", TURNS)
        for effects in OURS:
            name = str(effects)
            found[f"{name} ms"], found[f"{name} bytes"] = await _ours(field.stage, ask, effects)
        for entry in ENTRIES:
            name = entry.name
            found[f"{name} ms"], found[f"{name} bytes"] = await _peer(field, entry, ask)
        return found

    def figures(self, samples: Sequence[Sample]) -> list[Figure]:
        names = {str(effects): title for effects, title in OURS.items()}
        names |= {entry.name: entry.title for entry in ENTRIES}
        figures = []
        for name, title in names.items():
            ms = column(samples, f"{name} ms")
            kilobytes = [size / 1024 for size in column(samples, f"{name} bytes")]
            figures += [
                figure(self.name, f"{title}: a turn", ms, "ms"),
                figure(self.name, f"{title}: turns a second", [1000 / each for each in ms], "/s"),
                figure(self.name, f"{title}: history of {TURNS} turns", kilobytes, "KB"),
            ]
        for entry in ENTRIES:
            for what, unit in (("ms", "time"), ("bytes", "history")):
                beside = ratios(samples, f"none {what}", f"{entry.name} {what}")
                figures.append(figure(self.name, f"ours / {entry.title}: {unit}", beside, "x"))
        return figures


async def _ours(stage: Stage, ask: str, effects: Effects) -> tuple[float, float]:
    team = turns.team(ask, effects)
    turns.check(await (await stage.start(team)).result(), TURNS)
    began = time.perf_counter()
    handle = await stage.start(team)
    report = await handle.result()
    seconds = time.perf_counter() - began
    turns.check(report, TURNS)
    return seconds / TURNS * 1000, await history_bytes(stage, handle.id)


async def _peer(field: Field, entry: Entry, ask: str) -> tuple[float, float]:
    driver = field.driver(entry)
    run = uuid.uuid4().hex
    try:
        await driver.start()
        field.versions[entry.title] = driver.versions
        await driver.run(job(ask), [uuid.uuid4().hex])
        await field.stage.upstream.reset()
        seconds = await driver.run(job(ask), [run])
    finally:
        await driver.kill()
    calls = (await field.stage.upstream.counts())["count"]
    if calls != TURNS + 1:
        raise RunBroken(f"{entry.title}: {calls} calls for {TURNS} turns")
    return seconds / TURNS * 1000, await history_bytes(field.stage, run)


class KilledInATool:
    """SIGKILL of the worker while a tool runs that has counted its effect.

    `effects`: of ours; a person who is asked skips the call. `attempts` of the peers' tool: 0 is as
    they come, without a limit, and with 1 they never try again.
    """

    def __init__(
        self,
        who: Effects | Entry,
        rounds: tuple[int, int],
        *,
        attempts: int = 0,
    ) -> None:
        self._who = who
        self._attempts = attempts
        if isinstance(who, Entry):
            short, self.title = who.name, who.title
        else:
            short, self.title = f"ours {who}", f"ours, effects: {who}"
        if attempts:
            short, self.title = f"{short} {attempts}", f"{self.title}, one attempt"
        self.name = f"tool killed {short}"
        self.rounds = rounds

    async def sample(self, field: Field, turn: int) -> Sample:
        with tempfile.TemporaryDirectory() as folder:
            effects = Path(folder) / "effects"
            arguments = f'{{"file": "{effects}", "seconds": {TOOL_SECONDS}}}'
            ask = turns.order("count", 1, arguments)
            if isinstance(self._who, Entry):
                return await self._peer(field, self._who, ask, effects)
            return await self._ours(field.stage, turns.team(ask, self._who), effects)

    async def _peer(self, field: Field, entry: Entry, ask: str, effects: Path) -> Sample:
        driver, run = field.driver(entry), uuid.uuid4().hex
        limits = ["--tool-seconds", str(MOST_TOOL_SECONDS), "--tool-attempts", str(self._attempts)]
        try:
            await driver.start(*limits)
            first = asyncio.create_task(driver.run(job(ask), [run]))
            await _until_counted(effects, first)
            await driver.kill()
            killed = time.perf_counter()
            await asyncio.gather(first, return_exceptions=True)
            await driver.start(*limits)
            done = await _ended(driver.ask("resume", job(ask), [run]))
        finally:
            await driver.kill()
        return _sample(effects, killed, done=done, asked=False)

    async def _ours(self, stage: Stage, team: Team, effects: Path) -> Sample:
        handle = await stage.start(team)
        ended = asyncio.create_task(handle.result())
        await _until_counted(effects, ended)
        await stage.worker.kill()
        killed = time.perf_counter()
        await stage.worker.start()
        subject = await _decision(handle, ended)
        found = _sample(effects, killed, done=True, asked=subject is not None)
        if subject is not None:
            await handle.answer(subject, EffectDecision.SKIP)
        await ended
        return {**found, "effects": _count(effects)}

    def figures(self, samples: Sequence[Sample]) -> list[Figure]:
        once = None if isinstance(self._who, Entry) or self._who is not Effects.ONCE else at_most(1)
        return [
            figure(self.name, f"{self.title}: effects", column(samples, "effects"), "", once),
            figure(self.name, f"{self.title}: the run ended well", column(samples, "done"), ""),
            figure(self.name, f"{self.title}: a person was asked", column(samples, "asked"), ""),
            figure(
                self.name,
                f"{self.title}: kill to the end, or to the question",
                column(samples, "seconds"),
                "s",
            ),
        ]


def _sample(effects: Path, killed: float, *, done: bool, asked: bool) -> Sample:
    seconds = time.perf_counter() - killed
    return {"effects": _count(effects), "done": done, "asked": asked, "seconds": seconds}


def _count(effects: Path) -> int:
    return len(effects.read_text().splitlines()) if effects.exists() else 0


async def _until_counted(effects: Path, running: asyncio.Task[object]) -> None:
    """Until the tool has had its effect. What ends before is an error."""
    deadline = time.perf_counter() + LONGEST_SECONDS
    while not _count(effects):
        if running.done() or time.perf_counter() > deadline:
            raise RunBroken(f"no effect: {running.exception() if running.done() else 'too late'}")
        await asyncio.sleep(0.01)
    await asyncio.sleep(TOOL_SECONDS / 4)


async def _ended(resumed: Awaitable[object]) -> bool:
    """Whether the run ended well."""
    try:
        async with asyncio.timeout(LONGEST_SECONDS):
            await resumed
    except PeerFailed:
        return False
    return True


async def _decision(handle: RunHandle, ended: asyncio.Task[object]) -> str | None:
    """What the run asks a person about, or None if it ended."""
    deadline = time.perf_counter() + LONGEST_SECONDS
    while time.perf_counter() < deadline:
        if ended.done():
            return None
        with contextlib.suppress(NoWorker):
            if waiting := (await handle.state()).waiting:
                return waiting[0].subject
        await asyncio.sleep(0.05)
    raise RunBroken(f"neither asked nor ended within {LONGEST_SECONDS:g} s of the kill")


KILLED = (
    KilledInATool(Effects.ONCE, (3, 1)),
    KilledInATool(Effects.IDEMPOTENT, (2, 0)),
    *(KilledInATool(entry, (2, 0), attempts=attempts) for entry in ENTRIES for attempts in (0, 1)),
)
