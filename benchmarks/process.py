"""A process of the benchmark: started, waited for, killed, ended."""

import asyncio
import os
import signal
from collections.abc import Mapping
from pathlib import Path

READY_SECONDS = 60.0
SET_BY_US = ("OTEL_", "TEMPORAL_", "ATXP_", "GATEWAY_", "UPSTREAM_", "PYTHONDONTWRITEBYTECODE")
"""What a shell sets for other stacks must not reach this one. The last would make the start of
each process slower than at a user's."""


def clean_environment(values: Mapping[str, str]) -> dict[str, str]:
    """The environment of a benchmark process: this one's, without the settings of other stacks."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(SET_BY_US)}
    return {**inherited, **values}


class NotReady(Exception):
    """A process exited or did not become ready; the message has the end of its log."""


class Process:
    """A command and its log; it may be started again after it exited."""

    def __init__(
        self, command: tuple[str, ...], env: Mapping[str, str], log: Path, folder: Path
    ) -> None:
        self._command = command
        self._env = clean_environment(env)
        self._log = log
        self._folder = folder
        self._offset = 0
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._offset = self._log.stat().st_size if self._log.exists() else 0
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, env=self._env, cwd=self._folder, stdout=log, stderr=log
            )

    async def line(self, start: str) -> str:
        """The first line since the last start that begins so. Raises `NotReady`."""
        deadline = asyncio.get_running_loop().time() + READY_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            for line in self.text().splitlines(keepends=True):
                if line.startswith(start) and line.endswith("\n"):
                    return line.strip()
            if self._process is None or self._process.returncode is not None:
                break
            await asyncio.sleep(0.01)
        raise NotReady(f"{self._command} did not say {start!r}:\n{self.text()[-2000:]}")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def text(self) -> str:
        """What it said since its last start."""
        with self._log.open(errors="replace") as file:
            file.seek(self._offset)
            return file.read()

    async def kill(self) -> None:
        """SIGKILL: nothing in it gets a chance to tidy up."""
        await self._end(signal.SIGKILL)

    async def stop(self, seconds: float = 5) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._end(signal.SIGTERM)
        except TimeoutError:
            await self.kill()

    async def _end(self, number: int) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)
            await self._process.wait()
