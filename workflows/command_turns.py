"""Hands out large commands in their order, over as many workflow tasks as it takes.

All commands of one workflow task are one message to the server, and one write. Above 4 MiB the
server ends the run on the spot, with its accounts open (docs/adr/032).
"""

import asyncio
from collections import deque
from collections.abc import Callable
from datetime import timedelta

from temporalio import workflow

from durable_agent_team.rules.encoded_size import COMMAND_BYTES, MAX_COMMANDS_BYTES

IN_TURNS = "commands-in-turns"
"""Runs that issued this much in one workflow task before this patch keep doing so."""

PAUSE = timedelta(milliseconds=1)
"""A timer that fires at once: what follows is in another workflow task."""


class NotIssued(asyncio.CancelledError):
    """Cancelled while it waited for its turn: the server has never seen this command."""

    attempted = False
    """The server has seen an earlier command for the same call."""


class CommandTurns:
    """Bounds the bytes of the commands in one workflow task. Those beyond wait for the next one,
    first come first served."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._history_length = -1
        """When the current workflow task began; it is another one when this changes."""
        self._issued_bytes = 0
        """In the current workflow task."""
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._handing_out: asyncio.Task[None] | None = None

    async def take(self, payload_bytes: int) -> None:
        """Returns when a command with this payload may be issued: at once, and without yielding,
        where it fits. Raises NotIssued."""
        size = payload_bytes + COMMAND_BYTES
        if not self._waiting and self._fits(size):
            self._issued_bytes += size
            return
        if not workflow.patched(IN_TURNS):
            self._issued_bytes += size
            return
        turn: asyncio.Future[None] = asyncio.get_event_loop().create_future()
        self._waiting.append((size, turn))
        if len(self._waiting) == 1:
            self._handing_out = asyncio.create_task(self._hand_out())
        try:
            await turn
        except asyncio.CancelledError:
            raise NotIssued from None

    def has_room_for(self, payload_bytes: int) -> bool:
        """Whether a command of this size may be issued now, besides the others."""
        return not self._waiting and self._fits(payload_bytes + COMMAND_BYTES)

    def count(self, payload_bytes: int) -> None:
        """A command that cannot wait: the marker of a local activity, with its result."""
        self._fits(0)
        self._issued_bytes += payload_bytes + COMMAND_BYTES

    async def _hand_out(self) -> None:
        while self._waiting:
            await workflow.sleep(PAUSE, summary="more calls, in the next workflow task")
            self._changed()
            self._release()

    def _release(self) -> None:
        """Gives turns to those that fit into this workflow task. The first one always does."""
        while self._waiting:
            size, turn = self._waiting[0]
            if not turn.done():
                if not self._fits(size):
                    return
                self._issued_bytes += size
                turn.set_result(None)
            self._waiting.popleft()

    def _fits(self, size: int) -> bool:
        length = workflow.info().get_current_history_length()
        if length != self._history_length:
            self._history_length, self._issued_bytes = length, 0
        return not self._issued_bytes or self._issued_bytes + size <= MAX_COMMANDS_BYTES
