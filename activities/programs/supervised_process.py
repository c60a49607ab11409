"""The worker's side of `supervisor`: starts a program under it, and waits for its end."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from activities.child_process import ChildProcess
from activities.programs.supervisor import GRACE_SECONDS, NOT_STARTED

SUPERVISOR: Final = Path(__file__).with_name("supervisor.py")
MAX_STDOUT_BYTES: Final = 256 * 1024
MAX_STDERR_BYTES: Final = 64 * 1024
MARGIN_BYTES: Final = 4 * 1024
"""Read of standard error beyond what is kept, so that a key at the cut is found whole."""
SUPERVISOR_SECONDS: Final = 10.0
"""Beyond the program's time, after which the worker itself kills everything."""


class SupervisorLost(Exception):
    """The supervisor ended without a report; what was below it is killed."""


@dataclass(frozen=True)
class ProgramStart:
    """How a program is started."""

    command: Sequence[str]
    directory: str
    environment: Mapping[str, str]
    stdin: bytes
    seconds: float
    marker: str
    """`NAME=value` of the environment, by which all processes of this program are known."""
    descriptors: Sequence[int] = ()
    """Open files that the program inherits, under the same numbers."""


@dataclass(frozen=True)
class Ended:
    """How a program ended."""

    why: str
    """One of the supervisor's words, such as `exited` or `timeout`."""
    code: int
    """The exit code; negative: the number of the signal that killed it."""
    reason: str
    """Why it could not be started."""
    stdout: bytes
    stderr: bytes


async def run_supervised(start: ProgramStart) -> Ended:
    """Runs a program to its end. When this returns, raises or is cancelled, none of its processes
    is left. Raises `SupervisorLost`, and OSError if no process can be started."""
    given = (start.directory, *start.command, *start.environment.values())
    if any("\0" in each for each in given):
        reason = "its directory, an argument or a variable contains a NUL character"
        return Ended(NOT_STARTED, 0, reason, b"", b"")
    ours, theirs = socket.socketpair()
    with contextlib.ExitStack() as opened:
        opened.callback(theirs.close)
        stdin = opened.enter_context(tempfile.TemporaryFile())
        stdin.write(start.stdin)
        stdin.seek(0)
        try:
            process = ChildProcess(
                (
                    *(sys.executable, "-I", "-S", str(SUPERVISOR), str(theirs.fileno())),
                    *(f"{start.seconds:.3f}", str(MAX_STDOUT_BYTES)),
                    *(str(MAX_STDERR_BYTES + MARGIN_BYTES), start.directory, *start.command),
                ),
                start.environment,
                stdin=stdin,
                pass_fds=(theirs.fileno(), *start.descriptors),
            )
        except BaseException:
            ours.close()
            raise
    reader, writer = await asyncio.open_connection(sock=ours, limit=MAX_STDOUT_BYTES)
    reported = False
    try:
        async with asyncio.timeout(start.seconds + SUPERVISOR_SECONDS):
            ended = await _report(reader)
        reported = True
        return ended
    except (TimeoutError, asyncio.IncompleteReadError, ConnectionError, ValueError):
        raise SupervisorLost from None
    finally:
        if not reported:
            with contextlib.suppress(ConnectionError, RuntimeError):
                writer.write(b"stop\n")
        await asyncio.shield(_ended(process, writer, start.marker))


async def _report(reader: asyncio.StreamReader) -> Ended:
    line = await reader.readline()
    if not line:
        raise asyncio.IncompleteReadError(line, None)
    header = json.loads(line)
    return Ended(
        why=header["why"],
        code=header.get("code", 0),
        reason=header.get("reason", ""),
        stdout=await reader.readexactly(header["stdout"]),
        stderr=await reader.readexactly(header["stderr"]),
    )


async def _ended(process: ChildProcess, writer: asyncio.StreamWriter, marker: str) -> None:
    """Waits until the supervisor has ended, and with it the program; kills both if need be."""
    code: int | None = None
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(2 * GRACE_SECONDS + 1):
            code = await process.wait()
    writer.close()  # without a worker, the supervisor kills at once
    if code is None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SUPERVISOR_SECONDS):
                code = await process.wait()
    if code != 0:
        process.kill()
        await process.wait()
        await asyncio.to_thread(kill_marked, marker)


def kill_marked(marker: str) -> int:
    """Kills the processes that have `NAME=value` in their environment; returns how many. It finds
    what a killed supervisor has left. Linux only."""
    killed = 0
    for _ in range(100):
        found = _marked(marker.encode())
        if not found:
            break
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
                killed += 1
    return killed


def _marked(marker: bytes) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if marker in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
    return found
