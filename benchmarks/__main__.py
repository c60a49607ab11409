"""`python -m benchmarks`: a table on standard output, and `.data/bench.json`.

An aim that is not met is printed and never an error: exit 0 measured, 1 something did not work,
2 the options are wrong.
"""

import asyncio
import pkgutil
import platform
import sys
import time
from collections.abc import Callable, Sequence
from types import MappingProxyType

import uvloop

from benchmarks.command import options, say, write
from benchmarks.figures import Sample, table
from benchmarks.process import NotReady
from benchmarks.rows import Row
from benchmarks.stage import RunBroken, stage
from durable_agent_team.process.interpreter_exit import exit_process
from durable_agent_team.process.project_root import PROJECT_ROOT
from durable_agent_team.process.settings import SettingsError

ROWS = MappingProxyType(
    {
        "fan": "rows_runs:Fan",
        "uneven": "rows_runs:Uneven",
        "start": "rows_start:FirstCall",
        "history": "rows_runs:History",
        "gateway": "rows_gateway:GatewayRate",
        "added": "rows_gateway:GatewayLatency",
        "kill100": "rows_recovery:kill100",
        "kill500": "rows_recovery:kill500",
        "idle": "rows_recovery:Idle",
        "telemetry": "rows_telemetry:Telemetry",
        "turns": "rows_turns:Turns",
        "bare": "rows_bare:BareTemporal",
        "many": "rows_many:ManyRuns",
        "starts": "rows_many:ManyStarts",
        "long-1000": "rows_long:long_1000",
        "long-5000": "rows_long:long_5000",
    }
)
"""What makes each row. Only the rows that are measured are imported: an older revision runs this
benchmark too (`--these-rows`), and may not have what another row needs."""
RESULT = PROJECT_ROOT / ".data" / "bench.json"


def row_of(name: str) -> Row:
    make: Callable[[], Row] = pkgutil.resolve_name(f"benchmarks.{ROWS[name]}")
    return make()


async def measure(rows: Sequence[Row], quick: bool, most: int | None) -> dict[str, list[Sample]]:
    """All rows take turns, so that what disturbs the machine for a while disturbs them all. Each
    has `most` rounds at most."""
    samples: dict[str, list[Sample]] = {row.name: [] for row in rows}

    def rounds(row: Row) -> int:
        # A row that is too long for --quick is measured once anyway if it was chosen.
        count = row.rounds[quick] or int(len(rows) == 1)
        return count if most is None else min(count, most)

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
    parser = options("python -m benchmarks", __doc__, tuple(ROWS), "fewer rounds, under a minute")
    parser.add_argument("--rounds", type=int, metavar="N", help="at most this many of each row")
    given = parser.parse_args(arguments)
    rows = [row_of(name) for name in ROWS if not given.only or name in given.only]
    began = time.perf_counter()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            samples = runner.run(measure(rows, given.quick, given.rounds))
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
