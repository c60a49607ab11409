"""`python -m benchmarks.peers.page`: the tables and the plot of docs/comparison.md, regenerated.

From `.data/peers.json`. The words of the page are written by hand; what is between
`<!-- made: NAME -->` and `<!-- end -->` is written here.
"""

import argparse
import json
import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.figures import column, number
from benchmarks.peers import rows_memory
from benchmarks.peers.field import OURS, TITLES
from benchmarks.peers.plot import Panel, plot
from durable_agent_team.process.project_root import PROJECT_ROOT

RESULT = PROJECT_ROOT / ".data" / "peers.json"
PAGE = PROJECT_ROOT / "docs" / "comparison.md"
PLOT = PROJECT_ROOT / "docs" / "comparison.svg"
SIZES = (3, 20, 100, 500)
LATENCIES = (0, 200)
MARKED = re.compile(r"(<!-- made: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

Report = Mapping[str, Any]


class NotThere(Exception):
    """The page or the measurements lack a required part."""


def tables(report: Report) -> dict[str, str]:
    """Every block of the page, by name."""
    return {
        "measured": measured(report),
        "versions": versions(report),
        "aims": aims(report),
        "zero": times(report, [(f"fan {n} 0", f"N = {n}") for n in SIZES] + [MANY[0]]),
        "slow": times(report, [(f"fan {n} 200", f"N = {n}") for n in SIZES] + [MANY[1]]),
        "uneven": times(report, [("crossed", "crossed"), ("level", "level")]),
        "kills": kills(report),
        "behind": behind(report),
        "memory": memory(report),
        "sticky": sticky(report),
    }


MANY = (("many 0", "50 runs of N = 3"), ("many 200", "50 runs of N = 3"))


def measured(report: Report) -> str:
    machine = report["machine"]
    rounds = sorted({each["rounds"] for each in report["figures"]})
    often = f"{rounds[0]} to {rounds[-1]} rounds" if len(rounds) > 1 else f"rounds: {rounds[0]},"
    return (
        f"Measured on {report['at'][:10]}: {machine['cpus']} cores, {machine['system']}, Python"
        f" {machine['python']}, load {machine['load']:.1f} at the end,"
        f" {often} in {report['seconds'] / 60:.0f} minutes."
    )


def versions(report: Report) -> str:
    rows = [
        [title, ", ".join(f"{name} {version}" for name, version in used.items())]
        for title, used in report["versions"].items()
    ]
    return markdown(["", "packages"], rows)


def aims(report: Report) -> str:
    verdict = {True: "met", False: "**not met**"}
    rows = [
        [
            f"{each['row']}: {each['name']}",
            f"{each['aim']} {each['unit']}".strip(),
            f"{number(each['value'])} {each['unit']}".strip(),
            f"{number(each['low'])} … {number(each['high'])}",
            verdict[each["met"]],
        ]
        for each in report["figures"]
        if each["aim"]
    ]
    return markdown(["figure", "aim", "median", "low … high", ""], rows)


def times(report: Report, wanted: Sequence[tuple[str, str]]) -> str:
    """A line for each contender: the median in ms, and ours divided by it, round by round."""
    cases = [(row, title) for row, title in wanted if report["samples"].get(row)]
    if not cases:
        raise NotThere(f"{RESULT.name} has none of {', '.join(row for row, _ in wanted)}")
    names = list(TITLES)
    lines = []
    for name in names:
        cells = [_time(report["samples"][row], name) for row, _ in cases]
        if any(cells):
            lines.append([TITLES[name], *cells])
    return markdown(["ms a job (ours / theirs)", *(title for _, title in cases)], lines)


def _time(samples: Sequence[Mapping[str, float]], name: str) -> str:
    if name not in samples[0]:
        return ""
    middle = statistics.median(sample[name] * 1000 for sample in samples)
    if name == OURS:
        return f"**{number(middle)}**"
    beside = statistics.median(sample[OURS] / sample[name] for sample in samples)
    return f"{number(middle)} ({number(beside)})"


def kills(report: Report) -> str:
    rows = []
    for name, title in TITLES.items():
        samples = report["samples"].get(f"kill {name}")
        if samples:
            rows.append(
                [
                    title,
                    *(
                        span([sample[what] for sample in samples])
                        for what in ("paid twice", "answered again", "new", "done")
                    ),
                ]
            )
    head = ["", "calls paid twice", "of them answered before", "next new call, s", "run done, s"]
    return markdown(head, rows)


def behind(report: Report) -> str:
    """A line for each peer that was killed behind the gateway, beside its kill without it."""
    rows = []
    for name, title in TITLES.items():
        samples = report["samples"].get(f"behind {name}")
        if samples:
            direct = report["samples"].get(f"kill {name}") or ()
            before = span([sample["paid twice"] for sample in direct]) if direct else ""
            columns = ("paid twice", "done", "direct ms", "behind ms", "ms a call")
            cells = [span([sample[what] for sample in samples]) for what in columns]
            rows.append([title, before, *cells])
    head = ["", "paid twice, direct", "paid twice, behind", "run done, s"]
    head += ["a job directly, ms", "a job behind, ms", "of it a call, ms"]
    return markdown(head, rows)


def memory(report: Report) -> str:
    """A line for each: megabytes of the process, the medians of the rounds."""
    samples = report["samples"].get("memory")
    if not samples:
        raise NotThere(f"{RESULT.name} has no memory")
    rows = []
    for name, title in rows_memory.TITLES.items():
        cells = [
            number(statistics.median(column(samples, f"{name} {what}")))
            for what, _ in rows_memory.MEASURED
        ]
        *before, above = cells
        rows.append([title, *before, f"**{above}**" if name == OURS else above])
    return markdown(["MB", *(words for _, words in rows_memory.MEASURED)], rows)


def sticky(report: Report) -> str:
    """A line for each way to freeze, a column for each thing that was measured."""
    lines: dict[str, list[str]] = {}
    heads: list[str] = []
    for each in report["figures"]:
        if each["row"] == "sticky":
            scene, what = each["name"].split(": ")
            values = f"{number(each['value'])} {each['unit']}".strip()
            span = f"({number(each['low'])} … {number(each['high'])})"
            lines.setdefault(scene, []).append(f"{values} {span}")
            heads = heads if what in heads else [*heads, what]
    return markdown(["", *heads], [[scene, *cells] for scene, cells in lines.items()])


def span(values: Sequence[float]) -> str:
    middle = number(statistics.median(values))
    if min(values) == max(values):
        return middle
    return f"{middle} ({number(min(values))} … {number(max(values))})"


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def drawing(report: Report) -> str:
    """Milliseconds a job against N, at both latencies."""
    panels = []
    for latency_ms in LATENCIES:
        lines = {}
        for name, title in TITLES.items():
            points = [
                (float(n), statistics.median(each[name] * 1000 for each in samples))
                for n in SIZES
                if (samples := report["samples"].get(f"fan {n} {latency_ms}"))
                and name in samples[0]
            ]
            if points:
                lines[title] = points
        panels.append(Panel(f"upstream latency {latency_ms} ms", lines))
    return plot(panels, "N, parallel calls", "ms a job")


def filled(text: str, blocks: Mapping[str, str]) -> str:
    """The page with every block replaced. Raises `NotThere` for a block that it lacks."""
    there = {match.group(2) for match in MARKED.finditer(text)}
    if there != set(blocks):
        raise NotThere(f"{PAGE.name}: marked {sorted(there)}, made {sorted(blocks)}")
    put: Callable[[re.Match[str]], str] = lambda m: f"{m[1]}\n{blocks[m[2]]}\n\n{m[3]}"  # noqa: E731
    return MARKED.sub(put, text)


def main(source: Path = RESULT) -> None:
    if not source.exists():
        raise SystemExit(f"there is no {source}: run `make bench PEERS=1` first")
    report = json.loads(source.read_text())
    if report["quick"]:
        raise SystemExit(f"{source} is of a --quick run, which is not fit to be shown")
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), tables(report)), encoding="utf-8")
    PLOT.write_text(drawing(report), encoding="utf-8")


if __name__ == "__main__":
    argparse.ArgumentParser(
        prog="python -m benchmarks.peers.page", description=__doc__
    ).parse_args()
    main()
