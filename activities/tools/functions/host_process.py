"""One process in which functions of a team are called, one at a time."""

import asyncio
import contextlib
import json
import socket
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final

from activities.programs.child_environment import base_environment
from activities.programs.staged_modules import StagedModules
from activities.programs.supervised_process import (
    Ended,
    ProgramStart,
    SupervisorLost,
    run_supervised,
)
from activities.programs.work_directories import WorkDirectories, marker_of
from durable_agent_team.contracts.tool_box import ToolDefinition

HOST: Final = "durable_agent_team.agents.tool_host"
LIFETIME_SECONDS: Final = 30 * 86_400.0
LENGTH_BYTES: Final = 4
MAX_REPLY_BYTES: Final = 16 * 1024 * 1024
"""A text of a million characters as JSON is smaller; more is not of our making."""
MAX_SAID: Final = 600
"""Characters of standard error in a message."""


class HostEnded(Exception):
    """The process is gone, with all that it had started. The text says how it ended."""


@dataclass(frozen=True)
class HostKey:
    """What a process was started with: calls of other teams or environments get others."""

    module: str
    directory: str
    variables: tuple[tuple[str, str], ...] = field(default=(), repr=False)


class HostProcess:
    """Not for concurrent use: `host_pool` gives it to one call at a time."""

    def __init__(
        self,
        key: HostKey,
        directories: WorkDirectories,
        modules: StagedModules,
        worker: Mapping[str, str],
    ) -> None:
        self.key = key
        self._opened = ExitStack()
        work = self._opened.enter_context(directories.one())
        self._ours, self._theirs = socket.socketpair()
        number = self._theirs.fileno()
        paths = [str(modules.path()), *([key.directory] if key.directory else [])]
        environment = base_environment(worker, work.home, paths) | dict(key.variables)
        self._start = ProgramStart(
            command=[sys.executable, "-m", HOST, str(number), key.directory],
            directory=str(work.home),
            environment=environment,
            stdin=b"",
            seconds=LIFETIME_SECONDS,
            marker=marker_of(work.home),
            descriptors=[number],
        )
        self._ended = asyncio.create_task(self._run())
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.is_usable = True
        self.described: dict[tuple[str, str | None], ToolDefinition] = {}
        """What each function was when the process imported it, by its name and its argument for the
        key."""

    async def _run(self) -> Ended:
        try:
            return await run_supervised(self._start)
        finally:
            self.is_usable = False
            self._theirs.close()
            if self._streams is None:
                self._ours.close()
            else:
                self._streams[1].close()
            self._opened.close()

    async def exchange(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The reply. Raises `HostEnded`. Where this is cancelled, the process is to be killed: it
        would reply to nobody."""
        self.is_usable = False
        asking = asyncio.ensure_future(self._exchange(request))
        try:
            await asyncio.wait({asking, self._ended}, return_when=asyncio.FIRST_COMPLETED)
            if not asking.done() or asking.exception() is not None:
                raise HostEnded(await self._how_it_ended())
            self.is_usable = True
            return asking.result()
        finally:
            asking.cancel()

    async def kill(self) -> None:
        """Ends it, with all that it has started, and waits until nothing of it is left."""
        self.is_usable = False
        self._ended.cancel()
        with contextlib.suppress(asyncio.CancelledError, SupervisorLost, OSError):
            await self._ended

    async def _exchange(self, request: Mapping[str, Any]) -> dict[str, Any]:
        if self._streams is None:
            self._streams = await asyncio.open_connection(sock=self._ours)
        reader, writer = self._streams
        data = json.dumps(request).encode()
        writer.write(len(data).to_bytes(LENGTH_BYTES, "big") + data)
        await writer.drain()
        length = int.from_bytes(await reader.readexactly(LENGTH_BYTES), "big")
        if length > MAX_REPLY_BYTES:
            raise ValueError("a reply that is too long")
        self._theirs.close()  # it has started, and has its own
        reply: dict[str, Any] = json.loads(await reader.readexactly(length))
        return reply

    async def _how_it_ended(self) -> str:
        """Kills it where it has not ended, but replied nonsense."""
        try:
            async with asyncio.timeout(1):
                ended = await asyncio.shield(self._ended)
        except TimeoutError:
            await self.kill()
            return "its process sent something that is no reply, and was killed"
        except (SupervisorLost, OSError, asyncio.CancelledError):
            return "its process was killed, or could not be started"
        return _said(ended)


def _said(ended: Ended) -> str:
    if ended.reason:
        return f"its process could not be started: {ended.reason}"
    how = f"was killed by signal {-ended.code}" if ended.code < 0 else f"ended ({ended.code})"
    lines = ended.stderr.decode(errors="replace").strip()[-MAX_SAID:]
    return f"its process {how}" + (f"; standard error: …{lines}" if lines else "")
