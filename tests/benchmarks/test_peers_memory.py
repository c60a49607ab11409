"""The row of open runs: each really waits and really goes on, and everybody has a line."""

import ast
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from benchmarks.peers import driver as driver_module
from benchmarks.peers import open_runs
from benchmarks.peers.driver import Driver, PeerFailed
from benchmarks.peers.drivers import wire
from benchmarks.peers.field import OURS, PLAIN_AIOHTTP, Entry, Field
from benchmarks.peers.open_runs import Held
from benchmarks.peers.rows_memory import HOLDERS, TITLES, OpenRuns
from benchmarks.stage import RunBroken, Stage
from benchmarks.upstream import Upstream
from durable_agent_team.process.settings import WorkerSettings
from tests.support.upstream import ScriptedUpstream

RUNS = 25
DRIVERS = Path(wire.__file__).parent


class OnlyAnUpstream:
    def __init__(self, upstream: ScriptedUpstream, http: httpx.AsyncClient) -> None:
        self.upstream = Upstream(upstream.url, http)


@pytest.fixture
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream() as running:
        yield running


@pytest.fixture
async def field(
    upstream: ScriptedUpstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Field]:
    """Whose drivers are the plain one, by this very Python."""
    monkeypatch.setattr(driver_module, "python_of", lambda name: Path(sys.executable))
    monkeypatch.setattr(open_runs, "REST_SECONDS", 0.2)
    monkeypatch.setattr(open_runs, "QUIET_SECONDS", 2)
    monkeypatch.setattr(open_runs, "AT_ONCE", 20)

    def driver(entry: Entry) -> Driver:
        options = ("--upstream", upstream.url, *entry.options)
        return Driver("plain", entry.module, options, tmp_path / entry.name)

    async with httpx.AsyncClient(timeout=60, trust_env=False) as http:
        found = Field(cast(Stage, OnlyAnUpstream(upstream, http)), {})
        monkeypatch.setattr(found, "driver", driver)
        yield found


async def test_open_runs_make_all_calls_but_the_last_until_a_person_says_yes(
    field: Field, upstream: ScriptedUpstream
) -> None:
    driver = field.driver(PLAIN_AIOHTTP)
    try:
        await driver.start()
        await driver.ask("open", open_runs.JOB, ["one", "two"])
        await open_runs._reached(field.stage, "plain", 8)
        asked = [received.text for received in upstream.requests]
        brief = open_runs.JOB.calls[-1].ask
        assert len(asked) == 8
        assert not any(brief in text for text in asked)
        await driver.ask("answer", open_runs.JOB, ["one"])
        assert sum(brief in received.text for received in upstream.requests) == 1
        with pytest.raises(PeerFailed):
            await driver.ask("answer", open_runs.JOB, ["nobody"])
    finally:
        await driver.kill()


async def test_a_peers_memory_is_that_of_its_process_with_these_open(
    field: Field, upstream: ScriptedUpstream
) -> None:
    held = await open_runs.of_peer(field, PLAIN_AIOHTTP, RUNS)
    assert held.runs == RUNS
    assert held.open >= held.idle > 10
    assert len(upstream.requests) == 4 * RUNS + open_runs.ANSWERED, "since it was warm"


async def test_who_does_not_wait_is_found_out(
    field: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = Driver.ask

    async def hasty(self: Driver, do: str, job: Any, ids: Any) -> dict[str, Any]:
        return await ask(self, "run" if do == "open" and len(ids) > 10 else do, job, ids)

    monkeypatch.setattr(Driver, "ask", hasty)
    with pytest.raises(RunBroken, match=r"made 1[0-9]+ calls where 100"):
        await open_runs.of_peer(field, PLAIN_AIOHTTP, RUNS)


async def test_who_waits_too_early_is_found_out(
    field: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = Driver.ask

    async def idle(self: Driver, do: str, job: Any, ids: Any) -> dict[str, Any]:
        return {} if do == "open" and len(ids) < 10 else await ask(self, do, job, ids)

    monkeypatch.setattr(Driver, "ask", idle)
    with pytest.raises(RunBroken, match="made 80 calls where 100"):
        await open_runs.of_peer(field, PLAIN_AIOHTTP, RUNS)


async def test_everybody_has_a_line_and_ours_an_aim(monkeypatch: pytest.MonkeyPatch) -> None:
    async def of_peer(field: Field, entry: Entry, runs: int) -> Held:
        return Held(100, 110, runs)

    async def ours(stage: Stage, runs: int) -> Held:
        return Held(100, 370, 900)

    monkeypatch.setattr(open_runs, "of_peer", of_peer)
    monkeypatch.setattr(open_runs, "ours", ours)
    monkeypatch.setattr(open_runs, "ours_kept", ours)
    row = OpenRuns((1, 1))
    sample = await row.sample(Field(cast(Stage, None), {}), 0)
    figures = {figure.name: figure for figure in row.figures([sample])}
    assert {name.partition(":")[0] for name in figures} == set(TITLES.values())
    last = figures["ours: above idle, for 1,000"]
    assert last.value == pytest.approx(300)
    assert last.met is False
    assert last.note == "900 were open"
    assert figures["DBOS: above idle, for 1,000"].value == 10
    assert [each.name for each in figures.values() if each.aim] == [last.name]
    assert OURS in TITLES


@pytest.mark.parametrize("module", sorted({entry.module for entry in HOLDERS}))
def test_every_driver_knows_the_order(module: str) -> None:
    """Their packages are in environments of their own: what they wait with is read here."""
    source = (DRIVERS / f"{module}.py").read_text()
    tree = ast.parse(source)
    methods = {node.name for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef)}
    assert {"run", "resume", "open", "answer"} <= methods


def test_temporals_cache_is_as_large_for_both() -> None:
    source = (DRIVERS / "on_pydantic_ai.py").read_text()
    assert f"MAX_CACHED = {WorkerSettings.model_fields['max_cached_runs'].default:_}" in source
