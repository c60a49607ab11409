"""Records the histories that `test_replay.py` replays: `python -m tests.replay.record NAME…`.

Record a history again only where a change of the workflow is meant to break it, and write that into
the CHANGELOG: where a history no longer replays, open runs of that kind no longer continue.
"""

import argparse
import asyncio
import re
from collections.abc import Sequence
from pathlib import Path

from durable_agent_team.process.interpreter_exit import exit_process
from tests.replay.scenarios import SCENARIOS
from tests.support.temporal import server

HISTORIES = Path(__file__).with_name("histories")


async def main(names: Sequence[str]) -> None:
    HISTORIES.mkdir(exist_ok=True)
    async with server() as environment:
        for name in names:
            handle = await SCENARIOS[name](environment.client)
            history = await handle.fetch_history()
            (HISTORIES / f"{name}.json").write_text(_impersonal(history.to_json()) + "\n")
            print(f"{name}: {len(history.events)} events")


def _impersonal(history: str) -> str:
    """Without the name and the paths of the machine that recorded it."""
    without_traces = re.sub(r'"stackTrace": ?"(?:[^"\\]|\\.)*"', '"stackTrace": ""', history)
    return re.sub(r'"\d+@[^"]*"', '"recorder"', without_traces)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m tests.replay.record",
        description="Records histories of runs again.",
        epilog=f"Names: {', '.join(SCENARIOS)}",
    )
    parser.add_argument("names", nargs="+", choices=SCENARIOS, metavar="NAME")
    asyncio.run(main(parser.parse_args().names))
    exit_process(0)
