"""One process of the storm's stack: started, killed, frozen, thawed, started again, ended."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tests.chaos.facts import Span

INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "SSL_CERT_FILE")
READY_SECONDS = 60.0
PATIENCE_SECONDS = 5.0
"""For what the stack's processes have started, after their end."""


class NotReady(Exception):
    """A process exited or did not become ready; the message has the end of its log."""


class Victim:
    """A command in a session of its own. Started again whenever it is not meant to be away."""

    def __init__(
        self, name: str, command: tuple[str, ...], env: Mapping[str, str], log: Path, cwd: Path
    ) -> None:
        self.name = name
        self.log = log
        self.spans: list[Span] = []
        self.unexpected_exits = 0
        self._command = command
        own = {name: os.environ[name] for name in INHERITED if name in os.environ}
        self._env = {**own, **env, "PYTHONUNBUFFERED": "1"}
        self._cwd = cwd
        self._process: asyncio.subprocess.Process | None = None
        self._logged = 0
        """Bytes of its log before this start."""
        self._busy = asyncio.Lock()

    async def start(self) -> None:
        with self.log.open("ab") as log:
            self._logged = log.tell()
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._env,
                cwd=self._cwd,
                start_new_session=True,
            )

    async def ready(self, line: str) -> None:
        """Until its log has this text since its last start. Raises `NotReady`."""
        deadline = time.monotonic() + READY_SECONDS
        while line.encode() not in self.log.read_bytes()[self._logged :]:
            over = time.monotonic() > deadline
            if over or self._process is None or self._process.returncode is not None:
                tail = self.log.read_text(errors="replace")[-2000:]
                raise NotReady(f"{self.name} did not say {line!r}:\n{tail}")
            await asyncio.sleep(0.05)

    async def kill(self, away_seconds: float) -> None:
        """SIGKILL, and a new start after a while."""
        async with self._busy:
            start = time.time()
            self._signal(signal.SIGKILL)
            await self._gone()
            await asyncio.sleep(away_seconds)
            await self.start()
            self.spans.append(Span(self.name, "kill", start, time.time()))

    @asynccontextmanager
    async def undisturbed(self, line: str) -> AsyncIterator[None]:
        """It is ready (see `ready`), and nothing else happens to it meanwhile."""
        async with self._busy:
            await self.ready(line)
            yield

    async def freeze(self, seconds: float) -> None:
        """SIGSTOP, and SIGCONT after a while."""
        async with self._busy:
            start = time.time()
            self._signal(signal.SIGSTOP)
            try:
                await asyncio.sleep(seconds)
            finally:
                self._signal(signal.SIGCONT)
                self.spans.append(Span(self.name, "freeze", start, time.time()))

    @property
    def is_away(self) -> bool:
        """Killed or frozen at this moment."""
        return self._busy.locked()

    async def look_after(self) -> None:
        """Restarts it if it exited unexpectedly, which is counted."""
        if self._busy.locked() or self._process is None or self._process.returncode is None:
            return
        async with self._busy:
            self.unexpected_exits += 1
            await self.start()

    async def end(self, seconds: float = 8) -> None:
        """SIGTERM and patience, then SIGKILL for the whole session. Nothing is left."""
        self._signal(signal.SIGCONT)
        self._signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._gone(), seconds)
        self.end_at_once()
        await self._gone()

    def end_at_once(self) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)

    async def _gone(self) -> None:
        if self._process is not None:
            await self._process.wait()


async def left_behind(names: Sequence[str]) -> list[str]:
    """The processes that outlive a storm's stack by some seconds, and have one of these names (its
    folder, its gateway) in their command line or environment."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (left := list(_with(names))) and time.monotonic() < deadline:
        await asyncio.sleep(0.2)
    return left


def _with(names: Sequence[str]) -> Iterator[str]:
    for process in Path("/proc").glob("[0-9]*"):
        if process.name == str(os.getpid()):
            continue
        with contextlib.suppress(OSError):
            command = (process / "cmdline").read_bytes()
            known = command + (process / "environ").read_bytes()
            if any(name.encode() in known for name in names):
                yield f"{process.name}: {command.replace(bytes(1), b' ').decode()[:200]}"
