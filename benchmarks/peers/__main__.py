"""`python -m benchmarks.peers`: a table on standard output, and `.data/peers.json`.

An aim that is not met is printed and never an error: exit 0 measured, 1 something did not work,
2 the options are wrong. `python -m benchmarks.peers.page` writes docs/comparison.md anew from it.
"""

import argparse
import asyncio
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import uvloop

from benchmarks.figures import Figure, Sample, table
from benchmarks.peers.driver import PeerFailed
from benchmarks.peers.environments import NotInstalled
from benchmarks.peers.field import (
    DBOS,
    LANGGRAPH,
    LANGGRAPH_TASKS,
    PLAIN_AIOHTTP,
    PYDANTIC_AI,
    PYDANTIC_AI_BRISK,
    TITLES,
    field,
)
from benchmarks.peers.row import Row
from benchmarks.peers.rows_kill import Killed
from benchmarks.peers.rows_memory import OpenRuns
from benchmarks.peers.rows_speed import SPEED, growth
from benchmarks.peers.rows_sticky import Stalled
from benchmarks.process import NotReady
from benchmarks.stage import RunBroken
from runtime.process import leave
from runtime.settings import PROJECT_ROOT, SettingsError

ROWS: tuple[Row, ...] = (
    *SPEED,
    Killed(None, (3, 1)),
    *(Killed(entry, (3, 0)) for entry in (PLAIN_AIOHTTP, LANGGRAPH, LANGGRAPH_TASKS, DBOS)),
    Killed(PYDANTIC_AI_BRISK, (3, 0)),
    Killed(PYDANTIC_AI, (2, 0)),
    Stalled((2, 0)),
    OpenRuns((1, 0)),
)
RESULT = PROJECT_ROOT / ".data" / "peers.json"


async def measure(
    rows: Sequence[Row], quick: bool, asked: bool
) -> tuple[dict[str, list[Sample]], Any]:
    """All rows take turns, and within a row everybody does. Beside the samples: who took part."""
    samples: dict[str, list[Sample]] = {row.name: [] for row in rows}

    def rounds(row: Row) -> int:
        # A row that is too long for --quick is measured all the same where it was asked for.
        return max(row.rounds[quick], int(asked))

    async with field() as ready:
        await ready.warm()
        for number in range(max(map(rounds, rows))):
            for row in rows:
                if number < rounds(row):
                    began = time.perf_counter()
                    samples[row.name].append(await row.sample(ready, number))
                    _say(f"round {number + 1}: {row.name}, {time.perf_counter() - began:.1f} s")
        versions = {
            TITLES[name]: contender.versions for name, contender in ready.contenders.items()
        }
    return samples, versions


def write(
    figures: Sequence[Figure],
    samples: dict[str, list[Sample]],
    versions: dict[str, dict[str, str]],
    seconds: float,
    quick: bool,
) -> None:
    """The figures with every single sample, so that others can compute anew."""
    report = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "quick": quick,
        "seconds": round(seconds, 1),
        "machine": {
            "cpus": os.cpu_count(),
            "system": platform.platform(),
            "python": platform.python_version(),
            "load": os.getloadavg()[0],
        },
        "versions": versions,
        "figures": [each.as_json() for each in figures],
        "samples": samples,
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(report, indent=1) + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    names = [row.name for row in ROWS]
    parser.add_argument("--quick", action="store_true", help="one round, and only what is short")
    parser.add_argument(
        "--only", action="append", choices=names, metavar="ROW", help=f"of {', '.join(names)}"
    )
    given = parser.parse_args(arguments)
    rows = [row for row in ROWS if not given.only or row.name in given.only]
    began = time.perf_counter()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            samples, versions = runner.run(measure(rows, given.quick, bool(given.only)))
    except (NotReady, NotInstalled, PeerFailed, RunBroken, SettingsError) as error:
        print(f"the comparison did not work: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    figures = [each for row in rows if samples[row.name] for each in row.figures(samples[row.name])]
    figures += growth(samples)
    write(figures, samples, versions, time.perf_counter() - began, given.quick)
    print(table(figures))
    print(f"\n{time.perf_counter() - began:.0f} s; every sample: {RESULT}")
    return 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    leave(main())
