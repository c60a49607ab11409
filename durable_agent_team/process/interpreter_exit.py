"""Ends a process that used a Temporal client, with the exit code that it meant.

Threads of the SDK pass responses to Python and may still be inside the interpreter for a moment
after a response was read. If the process exits in that moment, it aborts or crashes while Python
shuts down (temporalio/sdk-python#300), and exit codes are part of the interface. So every command
ends with `exit_process`, which flushes all output and then skips Python's shutdown. A program that
only imports the client waits for those threads: `settle_at_exit`, which is the entry of the same
name in `worker_sdk/patches.py`.
"""

import atexit
import contextlib
import os
import sys
import threading
import time
from typing import Final, NoReturn

from durable_agent_team.process import telemetry

SETTLE_SECONDS: Final = 0.05  # 8 programs at once on 2 cores: 0 of 480 crashed; without, 11
MAX_SETTLE_SECONDS: Final = 2.0


def exit_process(code: int) -> NoReturn:
    """Flushes standard output, standard error and telemetry; ends the process with `code`.

    If the output's reader has gone (`… | head`), 0 becomes 141, as in a shell, without a traceback.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is None:  # closed by the caller
            continue
        try:
            stream.flush()
        except BrokenPipeError:
            code = code or 141
        except (OSError, ValueError):
            code = code or 2
    with contextlib.suppress(Exception):
        telemetry.flush()
    os._exit(code)


def settle_at_exit() -> None:
    """Makes the interpreter wait, before it shuts down, for threads that Python did not start."""
    atexit.unregister(_settle)  # once, no matter how often a program connects
    atexit.register(_settle)


def _settle() -> None:
    """Sleeping releases the interpreter to them; a thread still inside it then has a frame."""
    ends = time.monotonic() + MAX_SETTLE_SECONDS
    time.sleep(SETTLE_SECONDS)
    while _foreign_frames() and time.monotonic() < ends:
        time.sleep(SETTLE_SECONDS)


def _foreign_frames() -> set[int]:
    own = {thread.ident for thread in threading.enumerate()}
    return {ident for ident in sys._current_frames() if ident not in own}
