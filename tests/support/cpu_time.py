"""Bounds the processor time that code takes. Other work on the machine does not count."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def cpu_within(seconds: float) -> Iterator[None]:
    """Fails if its block takes longer on this thread."""
    before = time.thread_time()
    yield
    took = time.thread_time() - before
    assert took < seconds, f"took {took:.3f} s of processor time; at most {seconds} s are allowed"
