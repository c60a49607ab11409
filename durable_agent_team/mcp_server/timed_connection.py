"""One HTTP connection of a client of the MCP server, whose requests have to arrive in time.

uvicorn limits how long a connection may be idle between two requests, and nothing before the first
one or in the middle of one: a client that sends half of a request, some hundred times, would hold
as many connections until this process ends.
"""

import asyncio
from typing import Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_SECONDS: Final = 30.0
"""From the first byte of a request, or from the beginning of its connection, to its last byte."""


class TimedConnection(H11Protocol):
    """Closes the connection where a request has not arrived whole in `REQUEST_SECONDS`. How long an
    answer takes is not limited."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._set_deadline()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._set_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        self._clear_deadline()
        super().connection_lost(exc)

    def _set_deadline(self) -> None:
        """What is left of the time of a request that has begun; none once it is there."""
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._clear_deadline()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(REQUEST_SECONDS, self.transport.close)

    def _clear_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
