"""The conversations that this worker has made turns of, each under its hash."""

import threading
from collections import OrderedDict

from durable_agent_team.contracts.call import CallRequest
from durable_agent_team.contracts.conversation import Conversation
from durable_agent_team.rules.tools.conversation_forms import in_whole_form
from durable_agent_team.rules.tools.conversation_hash import extended, head_hash

MAX_BYTES = 64_000_000
"""The size of all their prompts. A conversation counts with its last turn only: turns share their
texts."""


class UnknownConversation(Exception):
    """The base is not known here: the workflow has to send all of it."""


class KnownConversations:
    """Keeps the turns that were used last. Safe for the threads of an event loop."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._turns: OrderedDict[str, CallRequest] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def whole(self, call: CallRequest) -> CallRequest:
        """The turn in its whole form; earlier texts in full. Raises `UnknownConversation`."""
        part = call.conversation
        if part is None or part.base is None:
            return call
        with self._lock:
            known = self._turns.get(part.base)
            if known is not None:
                self._turns.move_to_end(part.base)
        if known is None or extended(part.base, part.entries) != part.whole:
            raise UnknownConversation
        before = known.conversation
        assert before is not None
        return in_whole_form(call, known, before.entries, part.entries)

    def keep(self, call: CallRequest, asked: CallRequest) -> None:
        """Remembers a turn in its whole form, with its texts in full; `asked` is how it came. A
        turn whose hash is another than it says is not kept."""
        part, whole = asked.conversation, call.conversation
        if part is None or whole is None or not _is_right(asked, part):
            return
        with self._lock:
            self._forget(part.base)
            self._forget(part.whole)
            self._turns[part.whole] = call
            self._bytes += whole.prompt_bytes
            while self._bytes > self._max_bytes and len(self._turns) > 1:
                self._forget(next(iter(self._turns)))

    def _forget(self, turn: str | None) -> None:
        gone = self._turns.pop(turn, None) if turn is not None else None
        if gone is not None and gone.conversation is not None:
            self._bytes -= gone.conversation.prompt_bytes


def _is_right(asked: CallRequest, part: Conversation) -> bool:
    if part.base is not None:  # compared when it was put together
        return True
    if part.box is None:
        return False
    head = head_hash(asked, part.box.sha256, native=part.native)
    return extended(head, part.entries) == part.whole
