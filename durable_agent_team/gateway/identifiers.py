"""Ids that are unique without a system call for each: a random start, then one after the other."""

import itertools
import secrets

_REQUEST_BITS = 48
_next_request = itertools.count(secrets.randbits(_REQUEST_BITS)).__next__
_process = secrets.token_hex(8)
_next_call = itertools.count(1).__next__


def request_id() -> str:
    """12 hexadecimal digits."""
    return f"{_next_request() % 2**_REQUEST_BITS:012x}"


def call_id() -> str:
    """32 hexadecimal digits. Several gateways can share a database: each has its own first half."""
    return f"{_process}{_next_call():016x}"
