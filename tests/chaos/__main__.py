"""`python -m tests.chaos --runs N --seed S`: a storm, a table, and `.data/chaos.json`.

Exit codes: 0 every promise held; 1 one broke; 130 interrupted.
"""

import argparse
import asyncio
import json
import logging
import random
import shutil
import sys
import time
from pathlib import Path

from temporalio.runtime import Runtime, TelemetryConfig

from durable_agent_team.process.interpreter_exit import exit_process
from durable_agent_team.process.project_root import PROJECT_ROOT
from tests.chaos.driver import Driver
from tests.chaos.evidence import gather
from tests.chaos.processes import left_behind
from tests.chaos.schedule import LEASE_SECONDS, make_storm
from tests.chaos.stack import stack
from tests.chaos.verdict import Verdict, judge
from tests.support.interruptible import until_interrupted

BROKEN = PROJECT_ROOT / ".data" / "chaos-broken"
"""Has a folder for each seed with which a promise broke."""


async def storm(
    runs: int, seed: int, seconds: float, *, quiet: bool = False, keep: Path | None = None
) -> Verdict:
    """One storm on a stack of its own. The folder `keep` gets its histories and logs; where a
    promise broke, they are kept in any case."""

    def say(line: str) -> None:
        if not quiet:
            print(line, flush=True)

    plan = make_storm(seed, runs, seconds)
    async with stack(seed) as running:
        say(f"seed {seed}: {runs} runs in a storm of {seconds:g} s")
        driver = Driver(plan, running, say)
        await driver.play()
        say("all that can end has ended; gathering what is left behind")
        supervisor = asyncio.create_task(running.look_after())
        try:
            await running.calm()
            evidence = await gather(running, driver, LEASE_SECONDS + 5)
        except BaseException:
            shutil.copytree(running.folder / "logs", BROKEN / str(seed), dirs_exist_ok=True)
            raise
        finally:
            supervisor.cancel()
        await running.end()
        evidence.facts.processes_left = await left_behind(running.names)
        verdict = judge(evidence.facts)
        folder = keep or (None if verdict.holds else BROKEN / str(seed))
        if folder is not None:
            evidence.keep(folder, running.folder / "logs")
            say(f"histories and logs are in {folder}")
        return verdict


def table(verdict: Verdict, seed: int, seconds: float) -> dict[str, object]:
    return {
        "seed": seed,
        "seconds": round(seconds, 1),
        "runs": verdict.runs,
        "endings": verdict.endings,
        "calls": verdict.calls,
        "answers": verdict.fates,
        "kills": verdict.kills,
        "freezes": verdict.freezes,
        "full_disks": verdict.full_disks,
        "stores_removed": verdict.stores_removed,
        "effects": verdict.effects,
        "executions": verdict.executions,
        "unexpected_exits": verdict.unexpected_exits,
        "upstream_repeated": verdict.upstream_repeated,
        "given_up": verdict.given_up,
        **verdict.zeros(),
    }


def show(rows: dict[str, object], lines: list[str]) -> None:
    for name, value in rows.items():
        if isinstance(value, dict):
            value = " · ".join(f"{k} {v}" for k, v in sorted(value.items())) or "none"
        print(f"{name:20} {value}")
    for line in lines[:60]:
        print(f"  {line}")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--runs", type=int, default=27)
    parser.add_argument("--seed", type=int, default=None, help="left out: another one each time")
    parser.add_argument("--seconds", type=float, default=None, help="of the storm; default by runs")
    parser.add_argument("--out", type=Path, default=PROJECT_ROOT / ".data" / "chaos.json")
    parser.add_argument("--keep", type=Path, help="a folder for the histories and the logs")
    given = parser.parse_args()
    seed = random.randrange(1_000_000) if given.seed is None else given.seed
    seconds = given.seconds or max(20.0, given.runs * 0.8)
    # Broken connections are expected here, so the SDK need not log them.
    Runtime.set_default(Runtime(telemetry=TelemetryConfig(logging=None)))
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)
    began = time.monotonic()
    verdict = asyncio.run(until_interrupted(storm(given.runs, seed, seconds, keep=given.keep)))
    if verdict is None:
        print("chaos: interrupted; every process of it is ended", file=sys.stderr)
        return 130
    rows = table(verdict, seed, time.monotonic() - began)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps({**rows, "violations": verdict.lines()}, indent=2) + "\n")
    show(rows, verdict.lines())
    print("every promise held" if verdict.holds else "A PROMISE BROKE", flush=True)
    return 0 if verdict.holds else 1


if __name__ == "__main__":
    exit_process(main())
