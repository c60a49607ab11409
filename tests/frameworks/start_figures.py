"""`python -m tests.frameworks.start_figures`: what the start of each framework costs.

A row for each agent in Python: processor seconds until its module is imported, and until its answer
after two calls of the scripted model, seconds on the clock, and memory; medians of three. Processor
seconds are the same on a busy machine.
"""

import asyncio
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import yaml

from activities.programs.environments import Environments
from tests.frameworks.hosted_desk import HostedDesk
from tests.frameworks.scripted_model import Script
from tests.frameworks.staged_teams import ENVIRONMENTS, TEAMS
from tests.gateway.client import Api
from tests.support.gateway import running_gateway

ROUNDS = 3


@dataclass(frozen=True)
class Start:
    """`cpu` and `wall` are seconds; `megabytes` is the process's peak."""

    cpu: float
    wall: float
    megabytes: float


def spawn(command: list[str], environment: dict[str, str], given: bytes) -> Start:
    """Runs a process to its end, which must be good."""
    source, target = os.pipe()
    os.write(target, given)
    os.close(target)
    quiet = [(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_WRONLY, 0) for fd in (1, 2)]
    began = time.perf_counter()
    actions = [(os.POSIX_SPAWN_DUP2, source, 0), *quiet]
    pid = os.posix_spawn(command[0], command, environment, file_actions=actions)
    _, status, used = os.wait4(pid, 0)
    os.close(source)
    if status:
        raise RuntimeError(f"{command}: {os.waitstatus_to_exitcode(status)}")
    wall = time.perf_counter() - began
    return Start(used.ru_utime + used.ru_stime, wall, used.ru_maxrss / 1024)


def median(starts: list[Start]) -> Start:
    cpu, wall, megabytes = zip(
        *((each.cpu, each.wall, each.megabytes) for each in starts), strict=True
    )
    return Start(statistics.median(cpu), statistics.median(wall), statistics.median(megabytes))


async def measure(team: str, python: str) -> tuple[Start, Start]:
    """The time of its import, and of one whole answer."""
    script = Script()
    with tempfile.TemporaryDirectory() as folder:
        async with (
            script.upstream,
            running_gateway(script.upstream.url) as gateway,
            aiohttp.ClientSession() as http,
        ):
            account = await Api(gateway.url, http).open(1, "desk")
            imports, answers = [], []
            for number in range(ROUNDS):
                script.begin()
                script.release()
                desk = HostedDesk(None, gateway.url, account, script, Path(folder))
                desk.python, desk.scope = python, f"{team}-{number}"
                command, environment, given = desk.command(team, attempt=1)
                module = [python, "-c", f"import {team}"]
                imports.append(await asyncio.to_thread(spawn, module, environment, b""))
                answers.append(await asyncio.to_thread(spawn, command, environment, given))
    return median(imports), median(answers)


async def main() -> None:
    environments = Environments(ENVIRONMENTS, os.environ)
    print("| agent | import, CPU s | answer, CPU s | answer, s | MB | on disk, MB |")
    for file in sorted(TEAMS.glob("*_desk.yaml")):
        run = yaml.safe_load(file.read_text(encoding="utf-8"))["agents"]["desk"]["run"]
        if "python" not in run:
            continue
        made = await environments.made(TEAMS / run["environment"])
        first, whole = await measure(file.stem, made.python)
        root = Path(made.python).parents[1]
        disk = sum(each.lstat().st_size for each in root.rglob("*")) / 1024**2
        print(
            f"| {file.stem} | {first.cpu:.1f} | {whole.cpu:.1f} | {whole.wall:.1f}"
            f" | {whole.megabytes:.0f} | {disk:.0f} |",
            flush=True,
        )
    await environments.close()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
