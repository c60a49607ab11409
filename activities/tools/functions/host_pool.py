"""Keeps the processes of functions for the next call."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from activities.tools.functions.host_process import HostKey, HostProcess

MOST: Final = 32
"""Processes of one worker, which are calls at the same time. Others wait."""
IDLE_SECONDS: Final = 300.0


class NoHostFree(Exception):
    """All processes were busy for as long as the call may take."""


class HostPool:
    """`start` makes a process; it has to be called in the event loop."""

    def __init__(
        self,
        start: Callable[[HostKey], HostProcess],
        most: int = MOST,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self._start = start
        self._most = most
        self._idle_seconds = idle_seconds
        self._free = asyncio.Semaphore(most)
        self._idle: dict[HostProcess, asyncio.TimerHandle] = {}
        """Those that wait, the longest first."""
        self._ending: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def one(self, key: HostKey, seconds: float) -> AsyncIterator[HostProcess]:
        """A process for one call. It is killed unless it can be used again. Raises `NoHostFree`."""
        try:
            async with asyncio.timeout(seconds):
                await self._free.acquire()
        except TimeoutError:
            raise NoHostFree(f"all {self._most} processes of functions are busy") from None
        try:
            host = self._taken(key) or self._started(key)
            try:
                yield host
            finally:
                if host.is_usable:
                    self._keep(host)
                else:
                    await asyncio.shield(host.kill())
        finally:
            self._free.release()

    async def close(self) -> None:
        """Kills what is idle."""
        for host in list(self._idle):
            self._forget(host)
        while self._ending:
            await asyncio.wait(set(self._ending))

    def _taken(self, key: HostKey) -> HostProcess | None:
        """The one that was used last: its memory is warm."""
        for host in reversed(self._idle):
            if host.key == key and host.is_usable:
                self._idle.pop(host).cancel()
                return host
        return None

    def _started(self, key: HostKey) -> HostProcess:
        if len(self._idle) >= self._most // 2:
            self._forget(next(iter(self._idle)))
        return self._start(key)

    def _keep(self, host: HostProcess) -> None:
        loop = asyncio.get_running_loop()
        self._idle[host] = loop.call_later(self._idle_seconds, self._forget, host)

    def _forget(self, host: HostProcess) -> None:
        timer = self._idle.pop(host, None)
        if timer is None:
            return
        timer.cancel()
        ending = asyncio.ensure_future(_end(host))
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)


async def _end(host: HostProcess) -> None:
    with contextlib.suppress(Exception):
        await host.kill()
