"""Ends a worker whose event loop is blocked, and one that does not end after SIGTERM.

Python handles a signal only between two instructions of its main thread, so a thread in C code that
does not return (a regular expression that backtracks) makes a process deaf to SIGTERM. Both guards
work without the interpreter's lock:

- While the loop runs, it arms faulthandler's timer again every second. If it does not for
  `BLOCKED_SECONDS`, a thread of C code writes the traceback of each thread to standard error and
  exits the process with 1.
- faulthandler's C handler of SIGTERM and SIGINT writes to a pipe, before Python sees the signal. A
  small process reads the pipe and kills this one if it has not ended after a limit. If this process
  ends first, the pipe is closed, and the small one exits.
"""

import asyncio
import contextlib
import faulthandler
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Final

BLOCKED_SECONDS: Final = 60.0
EVERY_SECONDS: Final = 1.0
KILL_MARGIN: Final = 5.0
"""Seconds after the graceful shutdown until the process is killed."""

KILLER: Final = """
import os, select, signal, sys, time
pid, seconds = int(sys.argv[1]), float(sys.argv[2])
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
if not os.read(0, 65536):
    sys.exit()
ends = time.monotonic() + seconds
while (left := ends - time.monotonic()) > 0:
    if select.select([0], [], [], left)[0] and not os.read(0, 65536):
        sys.exit()
line = f"process {pid} did not end within {seconds:g} s after the signal to stop: it is killed"
os.write(2, line.encode() + b"\\n")
os.kill(pid, signal.SIGKILL)
"""


@contextlib.asynccontextmanager
async def ended_when_stuck(
    graceful_seconds: float, blocked_seconds: float = BLOCKED_SECONDS
) -> AsyncIterator[None]:
    """Guards this process. Enter it after the handlers of SIGTERM and SIGINT are set."""
    killer = _start_killer(graceful_seconds + KILL_MARGIN)
    beating = asyncio.create_task(_keep_alive(blocked_seconds))
    try:
        yield
    finally:
        beating.cancel()
        faulthandler.cancel_dump_traceback_later()
        killer.poll()


def _start_killer(seconds: float) -> subprocess.Popen[bytes]:
    """The pipe stays open until this process ends, even while the interpreter shuts down."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        killer = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", KILLER, str(os.getpid()), str(seconds)],
            stdin=reading,
            stdout=subprocess.DEVNULL,
            env={},
        )
    finally:
        os.close(reading)
    for number in (signal.SIGTERM, signal.SIGINT):
        faulthandler.register(number, file=writing, all_threads=False, chain=True)
    return killer


async def _keep_alive(blocked_seconds: float) -> None:
    while True:
        faulthandler.dump_traceback_later(blocked_seconds, exit=True)
        await asyncio.sleep(EVERY_SECONDS)
