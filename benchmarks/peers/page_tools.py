"""`python -m benchmarks.peers.page_tools`: the tables of docs/comparison-tools.md, regenerated from
the rows `tools` and `tool killed …` of `.data/peers.json`.

The words of the page are written by hand, as in `page.py`.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from benchmarks.figures import column
from benchmarks.peers.page import RESULT, Report, filled, markdown, measured, span
from benchmarks.peers.rows_tools import ENTRIES, KILLED, OURS, TURNS
from durable_agent_team.process.project_root import PROJECT_ROOT

PAGE = PROJECT_ROOT / "docs" / "comparison-tools.md"


def tables(report: Report) -> dict[str, str]:
    versions = [
        [title, ", ".join(f"{name} {version}" for name, version in used.items())]
        for title, used in report["versions"].items()
        if used and any(title == entry.title for entry in ENTRIES)
    ]
    return {
        "measured": measured(report),
        "turns": turns(report),
        "killed": killed(report),
        "versions": markdown(["", "packages"], versions),
    }


def turns(report: Report) -> str:
    """A line for each: milliseconds a turn, turns a second, kilobytes of history."""
    samples = report["samples"]["tools"]
    names = {str(effects): title for effects, title in OURS.items()}
    names |= {entry.name: entry.title for entry in ENTRIES}
    rows = []
    for name, title in names.items():
        ms = column(samples, f"{name} ms")
        kilobytes = [size / 1024 for size in column(samples, f"{name} bytes")]
        rows.append([title, span(ms), span([1000 / each for each in ms]), span(kilobytes)])
    return markdown(["", "ms a turn", "turns a second", f"history of {TURNS} turns, KB"], rows)


def killed(report: Report) -> str:
    rows = []
    for row in KILLED:
        samples = report["samples"].get(row.name)
        if samples:
            cells = [
                _end(samples[0]),
                *(span(column(samples, of)) for of in ("effects", "seconds")),
            ]
            rows.append([row.title, *cells])
    return markdown(["", "how it ended", "effects", "after, s"], rows)


def _end(sample: Mapping[str, float]) -> str:
    if sample["asked"]:
        return "a person was asked"
    return "completed" if sample["done"] else "the run failed"


def main(source: Path = RESULT) -> None:
    report = json.loads(source.read_text())
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(filled(text, tables(report)), encoding="utf-8")


if __name__ == "__main__":
    main()
