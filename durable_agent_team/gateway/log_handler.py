"""Writes log lines to a stream, those of one moment together: a system call for each line costs as
much as everything else about it."""

import asyncio
import logging
from contextlib import suppress
from typing import TextIO

DELAY_SECONDS = 0.05
MAX_LINES = 1_000


class BatchingHandler(logging.StreamHandler[TextIO]):
    """Holds lines back for up to DELAY_SECONDS while an event loop runs.

    A warning or an error is written at once, after the lines before it. `logging` flushes when the
    process exits, so only a killed process loses the lines of its last moment.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._lines: list[str] = []
        self._scheduled_in: asyncio.AbstractEventLoop | None = None
        """The loop that will flush. Not a timer: only the loop's own thread could cancel that."""

    def emit(self, record: logging.LogRecord) -> None:
        """`logging` calls it under the handler's lock."""
        try:
            self._lines.append(self.format(record) + self.terminator)
            if not self._can_wait(record):
                self.flush()
        except Exception:
            self.handleError(record)

    def _can_wait(self, record: logging.LogRecord) -> bool:
        if record.levelno >= logging.WARNING or len(self._lines) >= MAX_LINES:
            return False
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # another thread, or the process starts or ends
            return False
        if loop is not self._scheduled_in:
            self._scheduled_in = loop
            loop.call_later(DELAY_SECONDS, self._flush_scheduled)
        return True

    def _flush_scheduled(self) -> None:
        self._scheduled_in = None
        with suppress(OSError, ValueError):  # a full disk, or a closed stream
            self.flush()

    def flush(self) -> None:
        self.acquire()
        try:
            lines, self._lines = self._lines, []
            if lines:
                self.stream.write("".join(lines))
            super().flush()
        finally:
            self.release()
