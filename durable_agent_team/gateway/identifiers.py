"""Ids that are unique without a system call for each: a random start, then one after the other."""

import itertools
import os
import secrets

_REQUEST_BITS = 48


class _Counters:
    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Anew in a forked process: two processes never give out the same ids."""
        self.next_request = itertools.count(secrets.randbits(_REQUEST_BITS)).__next__
        self.process = secrets.token_hex(8)
        self.next_call = itertools.count(1).__next__


_counters = _Counters()
os.register_at_fork(after_in_child=_counters.start)


def request_id() -> str:
    """12 hexadecimal digits."""
    return f"{_counters.next_request() % 2**_REQUEST_BITS:012x}"


def call_id() -> str:
    """32 hexadecimal digits. Several gateways can share a database: each has its own first half."""
    return f"{_counters.process}{_counters.next_call():016x}"
