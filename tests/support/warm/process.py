"""A process of a warm server whose id is known, for tests that kill it, freeze it or look at it."""

from __future__ import annotations

import array
import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Mapping
from typing import IO

from tests.support.warm import ROOT, warm_server


class WarmProcess:
    """As much of `asyncio.subprocess.Process` as tests use; standard output is a pipe."""

    def __init__(
        self,
        pid: int,
        stdout: asyncio.StreamReader,
        ends: asyncio.StreamReader,
        server: asyncio.StreamWriter,
    ) -> None:
        self.pid = pid
        self.stdout = stdout
        self.returncode: int | None = None
        self._ended = asyncio.create_task(self._watch(ends, server))

    async def _watch(self, ends: asyncio.StreamReader, server: asyncio.StreamWriter) -> int:
        self.returncode = int(await ends.readline())
        server.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                os.kill(self.pid, number)

    async def wait(self) -> int:
        return await asyncio.shield(self._ended)


async def start_warm(
    program: str, environment: Mapping[str, str], stderr: IO[bytes]
) -> WarmProcess:
    """Starts a program of `warm_server`, without arguments, in the project's folder."""
    out, into = os.pipe()
    server = socket.socket(socket.AF_UNIX)
    try:
        server.connect(await asyncio.to_thread(warm_server, program))
        order = {"arguments": [], "folder": str(ROOT), "environment": dict(environment)}
        data = json.dumps(order).encode("ascii")
        with open(os.devnull, "rb") as nothing:  # noqa: ASYNC230  (it waits for nothing)
            streams = array.array("i", [nothing.fileno(), into, stderr.fileno()]).tobytes()
            ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, streams)]
            server.sendmsg([len(data).to_bytes(8, "big")], ancillary)
        server.sendall(data)
    finally:
        os.close(into)
    ends, writer = await asyncio.open_unix_connection(sock=server)
    stdout = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(stdout), os.fdopen(out, "rb")
    )
    return WarmProcess(int(await ends.readline()), stdout, ends, writer)
