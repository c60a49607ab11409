"""A child process, started the same way on every event loop.

uvloop's own `subprocess_exec` forks, and the child may then wait forever for a lock that a thread
of the Temporal SDK held (docs/adr/060). `subprocess.Popen` starts it with `vfork`.
"""

import asyncio
import contextlib
import subprocess
import threading
from asyncio import StreamReader, StreamReaderProtocol, StreamWriter
from collections.abc import Mapping, Sequence
from typing import IO


class ChildProcess:
    """A running process. The loop that it was started on waits for it."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        stdin: IO[bytes] | int = subprocess.DEVNULL,
        output: int = subprocess.DEVNULL,
        pass_fds: Sequence[int] = (),
    ) -> None:
        """Starts it in `/` and in a session of its own. `output` is where both standard output and
        standard error go: `PIPE` makes a pipe for each. Raises OSError."""
        self._popen = subprocess.Popen(
            command,
            stdin=stdin,
            stdout=output,
            stderr=output,
            env=environment,
            pass_fds=pass_fds,
            start_new_session=True,
            cwd="/",
        )
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._transports: list[asyncio.BaseTransport] = []
        threading.Thread(target=self._reap, name=f"child-{self.pid}", daemon=True).start()

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def returncode(self) -> int | None:
        """None while it runs; negative: the number of the signal that killed it."""
        return self._popen.returncode

    async def pipes(self) -> tuple[StreamWriter, StreamReader, StreamReader]:
        """Its standard input, output and error, of which each must be a pipe. Call it once."""
        stdin, stdout, stderr = self._popen.stdin, self._popen.stdout, self._popen.stderr
        assert stdin is not None
        assert stdout is not None
        assert stderr is not None
        transport, protocol = await self._loop.connect_write_pipe(
            lambda: StreamReaderProtocol(StreamReader()), stdin
        )
        self._transports.append(transport)
        writer = StreamWriter(transport, protocol, None, self._loop)
        return writer, await self._reader(stdout), await self._reader(stderr)

    async def _reader(self, pipe: IO[bytes]) -> StreamReader:
        reader = StreamReader()
        transport, _ = await self._loop.connect_read_pipe(
            lambda: StreamReaderProtocol(reader), pipe
        )
        self._transports.append(transport)
        return reader

    def close_pipes(self) -> None:
        """Also those that another process still has open."""
        for transport in self._transports:
            transport.close()

    async def wait(self) -> int:
        """Its exit code, once it has ended."""
        await self._ended.wait()
        return self._popen.returncode

    def terminate(self) -> None:
        """Sends SIGTERM, unless it has ended."""
        self._popen.terminate()

    def kill(self) -> None:
        """Sends SIGKILL, unless it has ended."""
        self._popen.kill()

    def _reap(self) -> None:
        """Runs in a thread of its own, as asyncio's do: a signal handler would belong to one loop,
        and a file descriptor of a process is there on Linux only."""
        self._popen.wait()
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._ended.set)
