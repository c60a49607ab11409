"""The benchmark's own arithmetic: medians, ratios, percentiles, aims, graphs. Nothing is timed."""

import asyncio
import json
from pathlib import Path

import httpx
import pytest

import benchmarks.__main__ as command
from benchmarks import jobs
from benchmarks.command import write
from benchmarks.figures import (
    Figure,
    at_least,
    at_most,
    column,
    figure,
    number,
    percentile,
    ratios,
    table,
)
from benchmarks.upstream import KILOBYTE, Upstream, kilobyte, latency, latency_seconds, rules
from tests.support.upstream import ScriptedUpstream


def test_a_figure_is_the_median_and_keeps_its_extremes() -> None:
    seen = figure("row", "name", [9.0, 1.0, 2.0, 40.0, 3.0], "ms")
    assert (seen.value, seen.low, seen.high, seen.rounds) == (3.0, 1.0, 40.0, 5)
    assert seen.met is None


@pytest.mark.parametrize(
    ("value", "aim", "met"),
    [
        (6.0, at_most(6), True),
        (6.01, at_most(6), False),
        (600.0, at_least(600), True),
        (599.0, at_least(600), False),
    ],
)
def test_an_aim_is_met_at_its_own_value(value: float, aim: object, met: bool) -> None:
    seen = figure("row", "name", [value], "ms", aim)  # type: ignore[arg-type]
    assert seen.met is met


def test_ratios_are_taken_round_by_round() -> None:
    samples = [{"ours": 2.0, "plain": 1.0}, {"ours": 30.0, "plain": 20.0}]
    assert ratios(samples, "ours", "plain") == [2.0, 1.5]
    assert column(samples, "ours") == [2.0, 30.0]


@pytest.mark.parametrize(
    ("share", "expected"), [(0.5, 50.0), (0.99, 99.0), (1.0, 100.0), (0.001, 1.0)]
)
def test_percentiles_by_nearest_rank(share: float, expected: float) -> None:
    assert percentile([float(n) for n in range(100, 0, -1)], share) == expected


def test_no_percentile_of_nothing() -> None:
    with pytest.raises(ValueError, match="0 values"):
        percentile([], 0.5)


def test_the_table_says_of_each_aim_whether_it_was_met() -> None:
    lines = table(
        [
            Figure("gateway", "calls", 650.0, "/s", 600.0, 700.0, 5, at_least(600)),
            Figure("fan", "a call", 7.25, "ms", 6.0, 8.0, 5, at_most(6), "one agent"),
        ]
    ).splitlines()
    assert lines[1].split("  ")[-1] == "met"
    assert lines[2].endswith("NOT MET")
    assert "a call (one agent)" in lines[2]
    assert "7.25 ms" in lines[2]


@pytest.mark.parametrize(
    ("value", "shown"), [(0, "0"), (1.149, "1.15"), (12.34, "12.3"), (512.4, "512")]
)
def test_three_digits_that_count(value: float, shown: str) -> None:
    assert number(value) == shown


@pytest.mark.parametrize("name", command.ROWS)
def test_every_row_is_made_by_its_name(name: str) -> None:
    assert command.row_of(name).name == name


def test_figures_survive_json() -> None:
    line = json.loads(json.dumps(figure("row", "name", [5.0], "ms", at_most(6)).as_json()))
    assert (line["value"], line["aim"], line["met"]) == (5.0, "<= 6", True)


@pytest.mark.parametrize("shape", ["accounts", "tasks"])
def test_a_fan_has_a_plan_n_calls_and_a_synthesis_of_all_of_them(shape: jobs.Shape) -> None:
    team = jobs.fan(20, 200, shape)
    assert len(team.tasks) == 22
    assert len(team.agents) == (21 if shape == "accounts" else 2)
    assert {task.depends_on for task in team.tasks[1:-1]} == {("plan",)}
    assert len(team.tasks[-1].depends_on) == 20
    assert jobs.critical_path_seconds(team) == pytest.approx(0.6)


def test_the_critical_path_is_that_of_the_longest_chain() -> None:
    team = jobs.chains([(6, 500), (3, 200), (1, 1500)])
    assert jobs.critical_path_seconds(team) == pytest.approx(3.5)  # 6 × 0.5, and the synthesis


def test_a_latency_that_the_upstream_has_no_rule_for_is_refused() -> None:
    with pytest.raises(ValueError, match="7 ms"):
        latency(7)
    assert latency_seconds(f"ask {latency(200)}") == 0.2
    assert latency_seconds("ask") == 0


def test_one_kilobyte_is_one_kilobyte_of_words() -> None:
    text = kilobyte()
    assert len(text.encode()) == 1024
    assert "[" not in text  # no marker in it
    assert len(set(text.split())) > 50


async def test_plain_does_the_same_calls_and_waits_for_dependencies() -> None:
    async with ScriptedUpstream() as upstream, httpx.AsyncClient(trust_env=False) as http:
        await Upstream(upstream.url, http).reset()
        assert len(upstream.rules) == len(rules())
        await asyncio.wait_for(
            jobs.plain(jobs.fan(3, 0, "tasks", answer=KILOBYTE), http, upstream.url), 20
        )
        asked = [each.text for each in upstream.requests]
    assert len(asked) == 5
    assert all(KILOBYTE in text for text in asked[1:4])
    assert asked[4].count(kilobyte()) == 3


def test_the_result_file_holds_figures_samples_and_the_machine(tmp_path: Path) -> None:
    path, samples = tmp_path / "data" / "bench.json", {"row": [{"a": 1.0}]}
    figures = [figure("row", "name", [1.0], "ms")]
    write(path, figures, {"samples": samples}, seconds=2.0, quick=True, system="s")
    written = json.loads((tmp_path / "data" / "bench.json").read_text())
    assert written["samples"] == {"row": [{"a": 1.0}]}
    assert written["figures"][0]["value"] == 1.0
    assert written["machine"]["cpus"]


def test_an_unknown_row_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        command.main(["--only", "nonsense"])
    assert refused.value.code == 2
    assert "'fan'" in capsys.readouterr().err
