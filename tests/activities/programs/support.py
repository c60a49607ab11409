"""Programs for tests, each a few lines of Python, and what runs them without a workflow."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from activities.programs.environments import Environments
from activities.programs.process_runner import ProcessRunner
from activities.programs.runner import ProgramOutput, Scope
from activities.programs.work_directories import WorkDirectories
from durable_agent_team.contracts.program import ProgramCall
from durable_agent_team.contracts.program_kinds import CommandRun, PythonRun
from tests.activities.support import AGENT_KEY, call

SCOPE = Scope(
    name="scope-1", attempt=1001, gateway_url="http://127.0.0.1:9", key=SecretStr(AGENT_KEY)
)
WORKER = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "ATXP_API_KEY": "parent-key-0123456789"}


def command(code: str, *arguments: str, **changes: Any) -> ProgramCall:
    """A program that is this Python code."""
    run = CommandRun(command=(sys.executable, "-c", code, *arguments))
    return program_call(run, **changes)


def program_call(run: CommandRun | PythonRun, **changes: Any) -> ProgramCall:
    values: dict[str, Any] = {
        "call": call(),
        "run": run,
        "scope": SCOPE.name,
        "execution": 1,
        "role": "Market researcher",
    }
    return ProgramCall(**{**values, **changes})


class Runs:
    """A runner with directories of its own."""

    def __init__(self, root: Path, worker: Mapping[str, str] = WORKER) -> None:
        self.directories = WorkDirectories(root / "work")
        self.environments = Environments(root / "environments", worker)
        self.runner = ProcessRunner(self.directories, self.environments, worker)

    async def run(self, program: ProgramCall, seconds: float = 20) -> ProgramOutput:
        return await self.runner.run(program, SCOPE, seconds)


@contextmanager
def runs_in(root: Path, worker: Mapping[str, str] = WORKER) -> Iterator[Runs]:
    runs = Runs(root, worker)
    try:
        yield runs
    finally:
        runs.directories.close()


@asynccontextmanager
async def started(runs: Runs, program: ProgramCall, mark: Path) -> AsyncIterator[asyncio.Task[Any]]:
    """The program's run, once it has written the file `mark`."""
    running = asyncio.create_task(runs.run(program))
    await written(mark)
    try:
        yield running
    finally:
        running.cancel()
        with contextlib.suppress(BaseException):
            await running


async def written(mark: Path) -> str:
    """The content of a file that a process of its own writes at some time."""
    async with asyncio.timeout(30):
        while not (text := content(mark)).endswith("\n"):
            await asyncio.sleep(0.01)
    return text


def content(path: Path, otherwise: str = "") -> str:
    return path.read_text() if path.exists() else otherwise


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def is_running(pid: int) -> bool:
    """A zombie is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


async def gone(*pids: int) -> bool:
    """Whether all of these end within some seconds."""
    for _ in range(500):
        if not any(map(is_running, pids)):
            return True
        await asyncio.sleep(0.01)
    return False
