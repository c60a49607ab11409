"""`python -m benchmarks`: a table on standard output, and `.data/bench.json`.

An aim that is not met is printed and never an error: exit 0 measured, 1 something did not work,
2 the options are wrong.
"""

import asyncio
import platform
import sys
import time
from collections.abc import Sequence

import uvloop

from benchmarks.command import options, say, write
from benchmarks.figures import Sample, at_most, table
from benchmarks.process import NotReady
from benchmarks.rows import Row
from benchmarks.rows_gateway import GatewayLatency, GatewayRate
from benchmarks.rows_long import Long
from benchmarks.rows_many import ManyRuns, ManyStarts
from benchmarks.rows_recovery import Idle, Recovery
from benchmarks.rows_runs import Fan, History, Uneven
from benchmarks.rows_start import FirstCall
from benchmarks.rows_telemetry import Telemetry
from benchmarks.rows_turns import Turns
from benchmarks.stage import RunBroken, stage
from durable_agent_team.process.interpreter_exit import exit_process
from durable_agent_team.process.project_root import PROJECT_ROOT
from durable_agent_team.process.settings import SettingsError

ROWS: tuple[Row, ...] = (
    Fan(),
    Uneven(),
    FirstCall(),
    History(),
    GatewayRate(),
    GatewayLatency(),
    Recovery(100, at_most(3), rounds=(3, 1), length=4),
    Recovery(500, at_most(10), rounds=(2, 0), length=2),
    Idle(),
    Telemetry(),
    Turns(),
    ManyRuns(),
    ManyStarts(),
    Long(1_000, rounds=(2, 1)),
    Long(5_000, rounds=(1, 0), aim=at_most(1.2)),
)
RESULT = PROJECT_ROOT / ".data" / "bench.json"


async def measure(rows: Sequence[Row], quick: bool) -> dict[str, list[Sample]]:
    """All rows take turns, so that what disturbs the machine for a while disturbs them all."""
    samples: dict[str, list[Sample]] = {row.name: [] for row in rows}

    def rounds(row: Row) -> int:
        # A row that is too long for --quick is measured once anyway if it was chosen.
        return row.rounds[quick] or len(rows) == 1

    async with stage() as ready:
        await ready.warm()
        for number in range(max(map(rounds, rows))):
            for row in rows:
                if number < rounds(row):
                    began = time.perf_counter()
                    samples[row.name].append(await row.sample(ready))
                    say(f"round {number + 1}: {row.name}, {time.perf_counter() - began:.1f} s")
    return samples


def main(arguments: Sequence[str] | None = None) -> int:
    names = [row.name for row in ROWS]
    parser = options("python -m benchmarks", __doc__, names, "fewer rounds, under a minute")
    given = parser.parse_args(arguments)
    rows = [row for row in ROWS if not given.only or row.name in given.only]
    began = time.perf_counter()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            samples = runner.run(measure(rows, given.quick))
    except (NotReady, RunBroken, SettingsError) as error:
        print(f"the benchmark did not work: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    measured = [row for row in rows if samples[row.name]]
    figures = [each for row in measured for each in row.figures(samples[row.name])]
    write(
        RESULT,
        figures,
        {"samples": samples},
        seconds=time.perf_counter() - began,
        quick=given.quick,
        system=platform.platform(),
    )
    print(table(figures))
    print(f"\n{time.perf_counter() - began:.0f} s; every sample: {RESULT}")
    return 0


if __name__ == "__main__":
    exit_process(main())
