"""`python -m benchmarks.peers`: a table on standard output, and `.data/peers.json`.

An aim that is not met is printed and never an error: exit 0 measured, 1 something did not work,
2 the options are wrong. `python -m benchmarks.peers.page` updates docs/comparison.md from it.
"""

import asyncio
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import uvloop
from temporalio.service import RPCError

from benchmarks.command import options, say, write
from benchmarks.figures import Sample, number, table
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
)
from benchmarks.peers.field import field as contenders
from benchmarks.peers.row import Row
from benchmarks.peers.rows_behind import Behind
from benchmarks.peers.rows_kill import Killed
from benchmarks.peers.rows_memory import OpenRuns
from benchmarks.peers.rows_speed import SPEED, growth
from benchmarks.peers.rows_sticky import Stalled
from benchmarks.peers.rows_tools import KILLED as KILLED_IN_A_TOOL
from benchmarks.peers.rows_tools import Tools
from benchmarks.process import NotReady
from benchmarks.stage import RunBroken
from durable_agent_team.process.interpreter_exit import exit_process
from durable_agent_team.process.project_root import PROJECT_ROOT
from durable_agent_team.process.settings import SettingsError

ROWS: tuple[Row, ...] = (
    *SPEED,
    Killed(None, (3, 1)),
    *(Killed(entry, (3, 0)) for entry in (PLAIN_AIOHTTP, LANGGRAPH, LANGGRAPH_TASKS, DBOS)),
    Killed(PYDANTIC_AI_BRISK, (3, 0)),
    Killed(PYDANTIC_AI, (2, 0)),
    *(Behind(entry, (3, 0)) for entry in (PLAIN_AIOHTTP, LANGGRAPH, LANGGRAPH_TASKS, DBOS)),
    Behind(PYDANTIC_AI_BRISK, (3, 0)),
    Tools(),
    *KILLED_IN_A_TOOL,
    Stalled((2, 0)),
    OpenRuns((1, 0)),
)
BREAKS = (NotReady, PeerFailed, RunBroken, RPCError, TimeoutError, OSError)
RESULT = PROJECT_ROOT / ".data" / "peers.json"


@dataclass
class Measured:
    """`broken`: rows that could not be measured, with what went wrong."""

    samples: dict[str, list[Sample]] = field(default_factory=dict)
    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)


async def measure(rows: Sequence[tuple[Row, int]]) -> Measured:
    """Rows with their rounds. All rows take turns, and within a row all contenders do.

    What breaks one row leaves the others their samples.
    """
    found = Measured({row.name: [] for row, _ in rows})
    async with contenders() as ready:
        await ready.warm()
        for contender, each in ready.contenders.items():
            found.versions[TITLES[contender]] = each.versions
        for turn in range(max(rounds for _, rounds in rows)):
            for row, rounds in rows:
                if turn < rounds and row.name not in found.broken:
                    began = time.perf_counter()
                    try:
                        found.samples[row.name].append(await row.sample(ready, turn))
                    except BREAKS as error:
                        found.broken[row.name] = f"{type(error).__name__}: {error}"
                        say(f"round {turn + 1}: {row.name} is broken: {error}")
                    else:
                        seconds = time.perf_counter() - began
                        say(f"round {turn + 1}: {row.name}, {seconds:.1f} s")
                        found.versions |= ready.versions
                        say("  " + _brief(found.samples[row.name][-1]))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    names = [row.name for row in ROWS]
    quick = "one round, and only what is short"
    parser = options("python -m benchmarks.peers", __doc__, names, quick)
    parser.add_argument("--rounds", type=int, metavar="N", help="at most this many of each row")
    given = parser.parse_args(arguments)
    rows = chosen(given.only or (), given.quick, given.rounds)
    began = time.perf_counter()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            measured = runner.run(measure(rows))
    except (*BREAKS, NotInstalled, SettingsError) as error:
        print(f"the comparison did not work: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    samples = measured.samples
    figures = [
        each for row, _ in rows if samples[row.name] for each in row.figures(samples[row.name])
    ]
    figures += growth(samples)
    write(
        RESULT,
        figures,
        asdict(measured),
        seconds=time.perf_counter() - began,
        quick=given.quick,
        system=f"{platform.system()} {platform.machine()}",
    )
    print(table(figures))
    print(f"\n{time.perf_counter() - began:.0f} s; every sample: {RESULT}")
    for name, why in measured.broken.items():
        print(f"{name} is broken: {why}", file=sys.stderr)
    return 1 if measured.broken else 0


def chosen(only: Sequence[str], quick: bool, most: int | None) -> list[tuple[Row, int]]:
    """A row that was chosen is measured at least once, even where --quick leaves it out."""
    rows = [row for row in ROWS if not only or row.name in only]
    rounds = [max(row.rounds[quick], 1 if only else 0) for row in rows]
    if most is not None:
        rounds = [min(most, each) for each in rounds]
    return list(zip(rows, rounds, strict=True))


def _brief(sample: Sample) -> str:
    return ", ".join(f"{name} {number(value)}" for name, value in sample.items())


if __name__ == "__main__":
    exit_process(main())
