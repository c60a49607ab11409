"""How a process of ours ends.

A process that leaves soon after it used a Temporal client can abort in the interpreter's
teardown (temporalio/sdk-python#300), and exit codes are part of the interface. So every command
ends here: what was written is flushed, then the interpreter is left without its teardown.
"""

import contextlib
import os
import sys
from typing import NoReturn

from runtime import telemetry


def leave(code: int) -> NoReturn:
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
