"""The servers that the workers have started on standard input and output, as victims of a storm."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from tests.chaos.facts import Span

NAME = "stdio_server"
PATIENCE = 8.0
"""Seconds that a kill waits for a server to run."""


class StdioServers:
    """All of them together. `folder` has their process ids; a worker starts the next ones."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.spans: list[Span] = []

    async def kill(self, _: float, patience: float = PATIENCE) -> None:
        """SIGKILL to those that run, or to the next one. Not counted where none does."""
        deadline = time.monotonic() + patience
        while True:
            start = time.time()
            if self._signal(self._running(), signal.SIGKILL):
                self.spans.append(Span(NAME, "kill", start, time.time()))
                return
            if time.monotonic() >= deadline:
                return
            await asyncio.sleep(0.1)

    async def freeze(self, seconds: float) -> None:
        """SIGSTOP, and SIGCONT after a while."""
        start, running = time.time(), list(self._running())
        if not self._signal(running, signal.SIGSTOP):
            return
        try:
            await asyncio.sleep(seconds)
        finally:
            self._signal(running, signal.SIGCONT)
            self.spans.append(Span(NAME, "freeze", start, time.time()))

    def _signal(self, pids: Iterator[int] | list[int], number: int) -> bool:
        sent = False
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
                sent = True
        return sent

    def _running(self) -> Iterator[int]:
        """Another process may have the id of one that has ended."""
        if self.folder.exists():
            for path in self.folder.iterdir():
                with contextlib.suppress(OSError):
                    command = Path(f"/proc/{path.name}/cmdline").read_bytes()
                    if str(self.folder).encode() in command:
                        yield int(path.name)
