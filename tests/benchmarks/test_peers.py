"""The comparison's harness: the jobs, the drivers, a real kill, the page. Nothing is timed."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest

import benchmarks.peers.__main__ as command
from benchmarks.figures import Sample
from benchmarks.peers import driver as driver_module
from benchmarks.peers import (
    environments,
    open_runs,
    rows_behind,
    rows_kill,
    rows_sticky,
    rows_tools,
)
from benchmarks.peers.driver import Driver, PeerFailed
from benchmarks.peers.drivers.stages import in_stages
from benchmarks.peers.drivers.wire import Task, parse_job, prompt
from benchmarks.peers.field import OURS, PEERS, PLAIN, PLAIN_AIOHTTP, PYDANTIC_AI, Field
from benchmarks.peers.rows_behind import Behind
from benchmarks.peers.rows_kill import Killed
from benchmarks.peers.rows_speed import SPEED, Fan, Together, growth
from benchmarks.peers.work import CROSSED, LEVEL, Job, as_team, chains, fan, spread
from benchmarks.process import NotReady
from benchmarks.stage import RunBroken, Stage
from benchmarks.upstream import Upstream
from durable_agent_team.contracts.run import RunRequest
from durable_agent_team.rules.validation import team_problems
from tests.support.gateway import running_gateway
from tests.support.upstream import ScriptedUpstream


@pytest.fixture
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream() as running:
        yield running


@pytest.fixture
def plain(upstream: ScriptedUpstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Driver:
    """The plain driver, by this very Python."""
    monkeypatch.setattr(driver_module, "python_of", lambda name: Path(sys.executable))
    options = ("--upstream", upstream.url, "--transport", "aiohttp")
    return Driver("plain", "on_plain", options, tmp_path / "plain")


def test_a_fan_is_a_plan_n_calls_that_read_it_and_a_synthesis_of_all() -> None:
    job = fan(20, 200)
    assert len(job) == 22
    assert {call.depends_on for call in job.calls[1:-1]} == {("plan",)}
    assert len(job.calls[-1].depends_on) == 20
    assert job.critical_path_seconds() == pytest.approx(0.6)
    assert len({call.ask for call in job.calls}) == 22  # what is paid twice is told by its ask


@pytest.mark.parametrize("job", [fan(500, 0), chains(CROSSED), chains(LEVEL), spread([200], 0)])
def test_every_job_is_a_team_that_we_accept(job: Job) -> None:
    for shape in ("tasks", "accounts"):
        team = as_team(job, shape)
        assert team_problems(RunRequest(team=team, goal="Brief the board.")) == []
        assert len(team.agents) == (1 if shape == "tasks" else len(job))


def test_waiting_at_each_step_costs_in_the_crossed_graph_and_not_in_the_level_one() -> None:
    for lengths, shortest, in_steps in ((CROSSED, 2.9, 4.7), (LEVEL, 3.5, 3.5)):
        assert chains(lengths).critical_path_seconds() == pytest.approx(shortest)
        steps = max(length for length, _ in lengths)
        slowest = [max(ms for length, ms in lengths if length > step) for step in range(steps)]
        assert sum(slowest) / 1000 + 0.5 == pytest.approx(in_steps)


def test_a_prompt_is_the_answers_and_then_the_ask() -> None:
    [task] = parse_job([{"id": "b", "ask": "Write.", "depends_on": ["a"]}])
    assert prompt(task, {"a": "Found.", "z": "Not for it."}) == "a:\nFound.\n\nWrite."


def test_chains_become_stages_that_start_in_a_fixed_order() -> None:
    def ids(job: tuple[Task, ...]) -> list[list[list[str]]]:
        return [[[each["id"] for each in chain] for chain in stage] for stage in in_stages(job)]

    assert ids(parse_job(fan(2, 0).as_json())) == [[["plan"]], [["t0"], ["t1"]], [["brief"]]]
    uneven = parse_job(chains([(2, 200), (1, 800)]).as_json())
    assert ids(uneven) == [[["c0-0", "c0-1"], ["c1-0"]], [["brief"]]]


async def test_a_driver_does_the_job_and_tells_its_time_and_its_versions(
    plain: Driver, upstream: ScriptedUpstream
) -> None:
    try:
        await plain.start()
        assert plain.versions["httpx"] == httpx.__version__
        assert await plain.run(fan(3, 0), ["one", "two"]) > 0
    finally:
        await plain.kill()
    asked = [received.text for received in upstream.requests]
    assert len(asked) == 10
    assert sum("t0:\nok\n\nt1:\nok\n\nt2:\nok\n\nWrite the brief." in text for text in asked) == 2


async def test_what_goes_wrong_in_a_driver_is_told(
    plain: Driver, upstream: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        await plain.start()
        await upstream.stop()
        with pytest.raises(PeerFailed, match="on_plain"):
            await plain.run(fan(3, 0), ["one"])
        running = asyncio.create_task(plain.run(fan(3, 0), ["two"]))
        await plain.kill()
        with pytest.raises((NotReady, PeerFailed, BrokenPipeError, ConnectionResetError)):
            await running
    finally:
        await plain.kill()


async def test_killed_in_the_middle_the_plain_loop_pays_everything_twice(
    plain: Driver,
    upstream: ScriptedUpstream,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The real kill of a real process, and the count of what the upstream received."""
    slow = 3000
    monkeypatch.setattr(rows_kill, "SLOW_MS", slow)
    monkeypatch.setattr(rows_kill, "JOB", spread([200] * 10 + [slow] * 10, 200))

    class OnlyAnUpstream:
        def __init__(self, http: httpx.AsyncClient) -> None:
            self.upstream = Upstream(upstream.url, http)

    async with httpx.AsyncClient(timeout=60, trust_env=False) as http:
        field = Field(cast(Stage, OnlyAnUpstream(http)), {})
        monkeypatch.setattr(field, "driver", lambda entry: plain)
        sample = await Killed(PLAIN_AIOHTTP, (1, 1)).sample(field, 0)
    assert sample["paid twice"] == 21
    assert sample["answered again"] == 11
    assert sample["in flight again"] == 10
    assert 0 < sample["first"] < sample["new"] < sample["done"]


async def test_killed_behind_the_gateway_the_same_loop_pays_nothing_twice(
    plain: Driver, upstream: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop starts over with the next attempt of its scope, and gets what was paid."""
    slow = 3000
    job = spread([200] * 10 + [slow] * 10, 200)
    monkeypatch.setattr(rows_kill, "SLOW_MS", slow)
    monkeypatch.setattr(rows_kill, "JOB", job)
    monkeypatch.setattr(rows_behind, "KILLED_JOB", job)

    async def not_measured(self: Behind, field: Field) -> Sample:
        return {"ms a call": 0.0}

    monkeypatch.setattr(Behind, "_overhead", not_measured)
    prices = {"bench": {"input_usd_per_million": "1", "output_usd_per_million": "2"}}
    async with (
        httpx.AsyncClient(timeout=60, trust_env=False) as http,
        running_gateway(upstream.url, prices=prices) as gateway,
    ):
        only_a_gateway = SimpleNamespace(
            upstream=Upstream(upstream.url, http),
            http=http,
            gateway_url=gateway.base_url,
            parent_key=gateway.parent_key,
        )
        field = Field(cast(Stage, only_a_gateway), {})
        monkeypatch.setattr(field, "driver", lambda entry: plain)
        sample = await Behind(PLAIN_AIOHTTP, (1, 1)).sample(field, 0)
    assert sample["paid twice"] == 0
    assert upstream.count == len(job)
    assert 0 < sample["new"] < sample["done"]


def test_a_call_that_came_twice_is_paid_twice() -> None:
    requests = [{"text": call.ask} for call in rows_kill.JOB.calls]
    assert rows_kill._again(requests) == {}
    assert sum(rows_kill._again([*requests, requests[3]]).values()) == 1


class Recorded:
    """A contender that does a fixed number of calls and takes a fixed time."""

    def __init__(self, upstream: "Counting", calls: int) -> None:
        self.versions = {"it": "1"}
        self._upstream = upstream
        self._calls = calls

    async def run(self, job: Job, ids: list[str]) -> float:
        self._upstream.calls += self._calls * len(ids)
        self._upstream.order.append(self)
        return 0.5


class Counting:
    def __init__(self) -> None:
        self.calls = 0
        self.order: list[Recorded] = []
        self.upstream = self

    async def reset(self) -> None:
        self.calls = 0

    async def counts(self) -> dict[str, int]:
        return {"count": self.calls}


async def test_everybody_begins_a_round_in_turn() -> None:
    stage = Counting()
    contenders = {name: Recorded(stage, 5) for name in ("plain", "dbos", OURS)}
    field = Field(cast(Stage, stage), cast(Any, contenders))
    row = Together("row", "title", fan(3, 0), (2, 1), 2)
    samples = [await row.sample(field, turn) for turn in range(2)]
    names = {id(contender): name for name, contender in contenders.items()}
    assert [names[id(each)] for each in stage.order] == [
        *("plain", "dbos", OURS),
        *("dbos", OURS, "plain"),
    ]
    assert samples[0] == {"plain": 0.5, "dbos": 0.5, OURS: 0.5}
    assert {figure.value for figure in row.figures(samples)} == {500}


async def test_who_leaves_calls_out_is_found_out() -> None:
    stage = Counting()
    field = Field(cast(Stage, stage), cast(Any, {"plain": Recorded(stage, 4)}))
    with pytest.raises(RunBroken, match="plain made 4 calls where 5"):
        await Together("row", "title", fan(3, 0), (1, 1), 1).sample(field, 0)


def test_the_aims_are_ratios_taken_round_by_round() -> None:
    samples: list[Sample] = [{PLAIN.name: 1, PLAIN_AIOHTTP.name: 1, OURS: 1.2}] * 2
    found = {figure.name: figure for figure in Fan(100, 200, (2, 1)).figures(samples)}
    assert found["ours / plain asyncio, httpx"].met is True
    halves: list[Sample] = [{PYDANTIC_AI.name: 2, OURS: 1.1}]
    [last] = [f for f in Fan(100, 0, (1, 1)).figures(halves) if f.aim]
    assert last.value == pytest.approx(0.55)
    assert last.met is False
    grown = growth({"fan 500 0": [{OURS: 5.02}], "fan 100 0": [{OURS: 1.02}]})
    assert [figure.value for figure in grown] == [pytest.approx(1.0)]
    assert growth({}) == []


def test_the_rows_have_names_of_their_own_and_the_sizes_that_were_promised() -> None:
    names = [row.name for row in command.ROWS]
    assert len(set(names)) == len(names)
    assert {f"fan {n} {ms}" for n in (3, 20, 100, 500) for ms in (0, 200)} <= set(names)
    assert {"many 0", "many 200", "crossed"} <= {row.name for row in SPEED}
    assert {entry.environment for entry in (*PEERS, *rows_tools.ENTRIES)} == {
        path.stem for path in environments.REQUIREMENTS.glob("*.txt")
    }


def test_memory_and_processor_time_of_a_process_are_told() -> None:
    assert open_runs.megabytes(os.getpid()) > 10
    before = rows_sticky.cpu_seconds(os.getpid())
    while rows_sticky.cpu_seconds(os.getpid()) == before:
        pass
    assert rows_sticky.cpu_seconds(os.getpid()) > before


def test_the_runs_that_are_to_park_are_good_teams_with_one_poor_agent() -> None:
    team = open_runs.parking_team()
    assert team_problems(RunRequest(team=team, goal="Brief the board.")) == []
    assert [task.id for task in team.tasks if task.agent == "poor"] == ["brief"]
