"""Bounds the processor time that code takes. Other work on the machine does not count."""

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def cpu_within(seconds: float) -> Iterator[None]:
    """Fails if its block takes longer on this thread. Without Python's collector: its time depends
    on what all earlier tests have left in memory."""
    gc.disable()
    before = time.thread_time()
    try:
        yield
        took = time.thread_time() - before
    finally:
        gc.enable()
    assert took < seconds, f"took {took:.3f} s of processor time; at most {seconds} s are allowed"
