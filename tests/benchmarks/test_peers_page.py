"""The comparison's page and plot: made from the measurements, and from nothing else."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks.figures import at_most, figure
from benchmarks.peers import page, rows_memory
from benchmarks.peers.field import OURS, TITLES
from benchmarks.peers.plot import Panel, plot
from benchmarks.peers.rows_sticky import MEASURED, STICKY_SECONDS, WORKERS, Stalled

SVG = "{http://www.w3.org/2000/svg}"


def report() -> dict[str, Any]:
    """As `make bench PEERS=1` writes one, with figures that are easy to know again."""
    timed = [f"fan {n} {ms}" for n in page.SIZES for ms in page.LATENCIES]
    timed += ["many 0", "many 200", "crossed", "level"]
    speed = {**dict.fromkeys(TITLES, 2.0), OURS: 1.0}
    killed = {"paid twice": 10, "answered again": 0, "new": 2.5, "done": 3.0}
    passed = {"paid twice": 0, "done": 3.5, "direct ms": 20, "behind ms": 42, "ms a call": 1.0}
    stalled = {
        f"{workers} {sticky} {what}": 4.0
        for workers in WORKERS
        for sticky in STICKY_SECONDS
        for what, _ in MEASURED
    }
    figures = [
        figure("fan 100 200", "ours / plain", [1.2, 1.4, 1.6], "x", at_most(1.3)),
        *Stalled((1, 0)).figures([stalled]),
    ]
    held = {
        f"{name} {what}": value
        for name in rows_memory.TITLES
        for what, value in (("idle", 110.0), ("open", 160.0), ("per_1000", 50.0), ("runs", 1000.0))
    }
    return {
        "at": "2026-01-02T03:04:05+00:00",
        "quick": False,
        "seconds": 600,
        "machine": {"cpus": 2, "system": "Linux", "python": "3.11.7", "load": 0.5},
        "versions": {"DBOS": {"dbos": "3.4.0"}},
        "figures": [each.as_json() for each in figures],
        "samples": {
            **{row: [speed, speed] for row in timed},
            "memory": [held, held | {"dbos per_1000": 70.0}],
            **{f"behind {name}": [passed, passed | {"ms a call": 3.0}] for name in TITLES},
            **{f"kill {name}": [killed, killed | {"new": 3.5}] for name in TITLES},
        },
    }


def test_a_table_has_everybodys_median_and_ours_beside_it() -> None:
    made = page.tables(report())
    assert "| DBOS | 2000 (0.50) |" in made["zero"]
    assert "| ours, one account | **1000** |" in made["zero"]
    assert "| DBOS | 10 | 0 | 3 (2.50 … 3.50) | 3 |" in made["kills"]
    assert "| DBOS | 10 | 0 | 3.50 | 20 | 42 | 2 (1 … 3) |" in made["behind"]
    assert "<= 1.3 x | 1.40 x | 1.20 … 1.60 | **not met** |" in made["aims"]
    assert "| DBOS | 110 | 160 | 60 |" in made["memory"]
    assert "| ours | 110 | 160 | **50** |" in made["memory"]
    assert "plain asyncio, httpx over aiohttp (not durable)" in made["memory"]
    assert "| DBOS | dbos 3.4.0 |" in made["versions"]
    assert "Measured on 2026-01-02: 2 cores" in made["measured"]
    assert "1 to 3 rounds in 10 minutes" in made["measured"]
    assert made["sticky"].count("4 s (4 … 4)") == len(WORKERS) * len(STICKY_SECONDS) * 2


def test_every_table_has_as_many_cells_in_each_line() -> None:
    for name, block in page.tables(report()).items():
        if block.startswith("|"):
            assert len({line.count("|") for line in block.splitlines()}) == 1, name


def test_a_row_that_was_not_measured_is_left_out_and_all_of_them_cannot_be() -> None:
    some = report()
    del some["samples"]["many 0"]
    assert "50 runs" not in page.tables(some)["zero"]
    with pytest.raises(page.NotThere, match="fan 3 0"):
        page.times({**some, "samples": {}}, [("fan 3 0", "N = 3")])


def test_the_page_has_a_place_for_every_table_and_keeps_its_words(tmp_path: Path) -> None:
    text = page.PAGE.read_text(encoding="utf-8")
    blocks = {name: f"table {name}" for name in page.tables(report())}
    made = page.filled(text, blocks)
    assert made == page.filled(made, blocks)
    for words in ("## Where we lose, and why", "comparison.svg", "table kills"):
        assert words in made
    with pytest.raises(page.NotThere, match="zero"):
        page.filled("<!-- made: zero -->\n<!-- end -->", blocks)


def test_one_command_writes_page_and_plot_and_no_quick_run_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "peers.json"
    (tmp_path / "page.md").write_text(page.PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr(page, "PAGE", tmp_path / "page.md")
    monkeypatch.setattr(page, "PLOT", tmp_path / "plot.svg")
    with pytest.raises(SystemExit, match="make bench PEERS=1"):
        page.main(source)
    source.write_text(json.dumps({**report(), "quick": True}))
    with pytest.raises(SystemExit, match="quick"):
        page.main(source)
    source.write_text(json.dumps(report()))
    page.main(source)
    assert "Measured on 2026-01-02" in (tmp_path / "page.md").read_text(encoding="utf-8")
    drawn = ElementTree.fromstring((tmp_path / "plot.svg").read_text(encoding="utf-8"))
    assert len(drawn.findall(f"{SVG}polyline")) == 2 * len(TITLES)


def test_a_plot_puts_ten_times_more_at_the_same_distance_everywhere() -> None:
    panel = Panel("title", {"a & b": [(1, 10.0), (10, 100.0), (100, 1000.0)]})
    drawn = ElementTree.fromstring(plot([panel], "across", "up"))
    [line] = drawn.findall(f"{SVG}polyline")
    places = [tuple(map(float, place.split(","))) for place in line.attrib["points"].split()]
    steps = {(round(b[0] - a[0]), round(b[1] - a[1])) for a, b in pairwise(places)}
    assert len(steps) == 1
    [(right, up)] = steps
    assert right > 0 > up
    assert "a & b" in {text.text for text in drawn.findall(f"{SVG}text")}
