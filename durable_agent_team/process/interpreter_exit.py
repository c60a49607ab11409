"""How a process ends that used a Temporal client: ours, and a program that starts runs.

The SDK's threads tell Python of an answer and are for a moment still inside the interpreter when
it has been read. A process that leaves in that moment aborts or crashes in the interpreter's
teardown (temporalio/sdk-python#300), and exit codes are part of the interface. So every command
ends with `exit_process`: it flushes what was written, then skips the interpreter's teardown.
A program that is not ours waits for those threads: `settle_at_exit`.
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
PATIENCE_SECONDS: Final = 2.0


def exit_process(code: int) -> NoReturn:
    """Flushes standard output, standard error and telemetry; ends the process with `code`.

    A reader that closed our output (`… | head`) turns 0 into the shell's 141, without a trace.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is None:  # closed by whoever called us
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
    """Before the interpreter is torn down, threads that it did not start come out of it."""
    atexit.unregister(_settle)  # once, however often a program connects
    atexit.register(_settle)


def _settle() -> None:
    """A sleep lets them have the interpreter; who is still in it after that has a frame."""
    ends = time.monotonic() + PATIENCE_SECONDS
    time.sleep(SETTLE_SECONDS)
    while _foreign_frames() and time.monotonic() < ends:
        time.sleep(SETTLE_SECONDS)


def _foreign_frames() -> set[int]:
    own = {thread.ident for thread in threading.enumerate()}
    return {ident for ident in sys._current_frames() if ident not in own}
