"""A peer's process: receives commands, returns seconds, can be killed and restarted."""

import asyncio
import contextlib
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.peers.environments import python_of
from benchmarks.peers.work import Job
from benchmarks.process import NotReady, clean_environment
from durable_agent_team.process.project_root import PROJECT_ROOT

DRIVERS = "benchmarks.peers.drivers"
PATIENCE_SECONDS = 180.0
LONGEST_LINE = 2**20


class PeerFailed(Exception):
    """A peer reported an error, which is the message."""


class Driver:
    """`environment`: the Python to use; `module`: the driver; `options`: for its command line."""

    def __init__(self, environment: str, module: str, options: Sequence[str], folder: Path) -> None:
        folder.mkdir(parents=True)
        self._command = [str(python_of(environment)), "-m", f"{DRIVERS}.{module}"]
        self._command += ["--folder", str(folder), *options]
        self._log = folder / "driver.log"
        self._process: asyncio.subprocess.Process | None = None
        self.versions: dict[str, str] = {}

    async def start(self, *more: str) -> None:
        """`more`: options of this process only, which come last and replace earlier ones."""
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(*self._command, *more),
                env=clean_environment({}),
                cwd=PROJECT_ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                limit=LONGEST_LINE,
            )
        self.versions = (await self._answer())["ready"]

    async def run(self, job: Job, ids: Sequence[str]) -> float:
        """The job once for each id, all at once. Seconds, taken in the peer's own process."""
        seconds: float = (await self.ask("run", job, ids))["seconds"]
        return seconds

    async def ask(self, do: str, job: Job, ids: Sequence[str]) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdin is not None
        order = {"do": do, "job": job.as_json(), "ids": list(ids)}
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        await self._process.stdin.drain()
        return await self._answer()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def kill(self) -> None:
        """SIGKILL: nothing in it gets a chance to tidy up."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def _answer(self) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        line = b""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                line = await self._process.stdout.readline()
        if not line:
            said = self._log.read_text(errors="replace")[-2000:]
            raise NotReady(f"{self._command} did not answer:\n{said}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise PeerFailed(f"{self._command}:\n{answer['error']}")
        return answer
