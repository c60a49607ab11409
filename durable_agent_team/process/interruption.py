"""Ctrl-C while a program loads: it ends, without a traceback."""

import os
import signal
import sys
from typing import Any, Final

INTERRUPTED: Final = 130


def end_quietly() -> None:
    """From here on Ctrl-C ends the process at once, as in any program that is not Python.

    Call it before everything that takes time to load, and again once the event loop is closed,
    which brings Python's own handler back. In between the loop's handlers apply.

    The Makefile blocks the signal until here: it is delivered now, if there was one.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def end_where_it_is_lost() -> None:
    """Ctrl-C ends the process also where Python would print a `KeyboardInterrupt` and continue: in
    a callback of a library that is not written in Python, such as pydantic's while it builds a
    model."""
    report = sys.unraisablehook

    def end_or_report(lost: Any) -> None:
        if issubclass(lost.exc_type, KeyboardInterrupt):
            os._exit(INTERRUPTED)
        report(lost)

    sys.unraisablehook = end_or_report
