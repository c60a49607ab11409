"""Lets a request wait until a scope has cost something more: a long poll, instead of many polls."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

from durable_agent_team.gateway.stores.scope_records import ScopeState
from durable_agent_team.gateway.stores.store import Store

OTHERS_SECONDS: Final = 2.0
"""Between two reads while a request waits: another process may have settled a call of the scope."""
MAX_WAITING: Final = 500
"""Requests of one account that wait at the same time. Those beyond are answered at once."""

OfScope = tuple[str, str]


@dataclass
class ScopeWatch:
    """All requests of this process that wait for a scope."""

    store: Store
    _waiting: dict[OfScope, set[asyncio.Event]] = field(default_factory=dict)
    _of_account: Counter[str] = field(default_factory=Counter)
    _ended: bool = False

    def charged(self, account_id: str, scope: str) -> None:
        """A call of the scope was settled by this process."""
        for event in self._waiting.get((account_id, scope), ()):
            event.set()

    def end(self) -> None:
        """Answers all requests that wait: the gateway stops."""
        self._ended = True
        for events in self._waiting.values():
            for event in events:
                event.set()

    async def state(
        self,
        account_id: str,
        scope: str,
        known: int | None,
        seconds: float,
        is_wanted: Callable[[], bool],
    ) -> ScopeState:
        """The scope as soon as its cost is not `known` (in micro-USD), or after `seconds`, or when
        nobody wants the answer any more. Raises StoreError."""
        if known is None or not seconds or self._of_account[account_id] >= MAX_WAITING:
            return await self.store.scope_state(account_id, scope)
        clock = asyncio.get_running_loop().time
        deadline = clock() + seconds
        with self._event(account_id, scope) as event:
            while True:
                event.clear()
                state = await self.store.scope_state(account_id, scope)
                left = deadline - clock()
                if state.spent != known or left <= 0 or self._ended or not is_wanted():
                    return state
                with suppress(TimeoutError):
                    await asyncio.wait_for(event.wait(), min(left, OTHERS_SECONDS))

    @contextmanager
    def _event(self, account_id: str, scope: str) -> Iterator[asyncio.Event]:
        """Set whenever the scope was charged."""
        event = asyncio.Event()
        events = self._waiting.setdefault((account_id, scope), set())
        events.add(event)
        self._of_account[account_id] += 1
        try:
            yield event
        finally:
            events.discard(event)
            if not events:
                self._waiting.pop((account_id, scope), None)
            self._of_account[account_id] -= 1
            if not self._of_account[account_id]:
                del self._of_account[account_id]
