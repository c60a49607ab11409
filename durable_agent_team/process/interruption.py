"""Ctrl-C in a program that takes seconds to load: it ends, without a traceback."""

import signal
import sys


def end_quietly() -> None:
    """From here on Ctrl-C ends the process at once, as in any program that is not Python.

    Call it before everything that takes time to load, and again once the event loop is closed,
    which brings Python's own handler back. In between the loop's handlers apply.

    The Makefile blocks the signal until here: it is delivered now, if there was one.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
