"""How much unrequested output a server may send before it counts as a flood.

The count decays at a rate that costs a worker little: a tool that runs for a day may report
progress, and its server may send pings, all day.
"""

import time
from typing import Final

FORGOTTEN_IN: Final = 60.0
"""Seconds in which the whole allowance decays."""


class Unasked:
    """Bytes and messages since the last answer, less what has decayed."""

    def __init__(self, max_bytes: int, max_messages: int) -> None:
        self._most = (max_bytes, max_messages)
        self._bytes = self._messages = 0.0
        self._looked_at = time.monotonic()

    def add(self, size: int, messages: int = 0) -> None:
        now = time.monotonic()
        forgotten = (now - self._looked_at) / FORGOTTEN_IN
        self._looked_at = now
        self._bytes = max(self._bytes - forgotten * self._most[0], 0.0) + size
        self._messages = max(self._messages - forgotten * self._most[1], 0.0) + messages

    def answered(self) -> None:
        self._bytes = self._messages = 0.0

    @property
    def is_too_much(self) -> bool:
        return self._bytes > self._most[0] or self._messages > self._most[1]
