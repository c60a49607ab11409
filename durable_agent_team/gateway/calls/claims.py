"""Requests in scopes, while they are answered: whose client is still there, and which of them a
newer attempt has superseded."""

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import dataclass, field

from durable_agent_team.gateway.identifiers import call_id
from durable_agent_team.gateway.stores.scope_records import EndedRequest, Place, RequestEnd
from durable_agent_team.gateway.stores.store import Store, StoreError

log = logging.getLogger("gateway.calls")

PAUSES = (0.1, 0.5, 2.0, 5.0)
"""In seconds, before a number is given back again after the database failed."""


@dataclass(eq=False)
class Claim:
    """One request in a scope. It holds its number as `stores/scope_records.py` says."""

    account_id: str
    place: Place
    body_hash: str | None = None
    """Known once the request was read."""
    has_left: bool = False
    """Its client disconnected before it had a whole answer."""
    handed_over: bool = False
    """A whole 200 was sent while the client was connected."""
    newest_attempt: int = 0
    """The newest attempt of its scope, as far as it is known."""

    @property
    def is_superseded(self) -> bool:
        return self.newest_attempt > self.place.attempt


def new_place(scope: str, attempt: int, *, is_retry: bool) -> Place:
    return Place(scope, attempt, call_id(), is_retry)


@dataclass
class Claims:
    """All requests in scopes of this process."""

    store: Store
    _open: dict[tuple[str, str], set[Claim]] = field(default_factory=dict)
    _background: set["asyncio.Task[None]"] = field(default_factory=set)

    def open(self, claim: Claim) -> None:
        self._open.setdefault((claim.account_id, claim.place.scope), set()).add(claim)

    def saw(self, account_id: str, scope: str, attempt: int) -> None:
        """Requests of older attempts, which wait for a call, do not get its answer any more."""
        for claim in self._open.get((account_id, scope), ()):
            claim.newest_attempt = max(claim.newest_attempt, attempt)

    def client_left(self, claim: Claim) -> None:
        """Gives its number back. Its call continues, and the answer is kept for the next one."""
        if claim.has_left or claim.handed_over:
            return
        claim.has_left = True
        if claim.body_hash is not None:
            self._in_background(self._write(_ended(claim, RequestEnd.LEFT)))

    def not_read(self, claim: Claim) -> None:
        """Its client closed the connection before it had read the answer: the number, which was
        kept, is given back."""
        claim.handed_over = False
        self._in_background(self._write(_ended(claim, RequestEnd.LEFT)))

    async def end(self, claim: Claim, how: RequestEnd, error: str | None = None) -> None:
        """Keeps its number if a whole answer was handed over, and gives it back otherwise."""
        of_scope = (claim.account_id, claim.place.scope)
        claims = self._open[of_scope]
        claims.discard(claim)
        if not claims:
            del self._open[of_scope]
        await self._write(_ended(claim, how, error))

    async def _write(self, ended: EndedRequest) -> None:
        """If the database fails, tries again in the background: the answer was sent."""
        try:
            await self.store.end_request(ended)
        except StoreError as problem:
            log.error("a request's end in its scope was not written: %s", problem)
            self._in_background(self._write_later(ended))

    async def _write_later(self, ended: EndedRequest) -> None:
        for pause in PAUSES:
            await asyncio.sleep(pause)
            try:
                return await self.store.end_request(ended)
            except StoreError as problem:
                log.error("a request's end in its scope was not written: %s", problem)

    def _in_background(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)


def _ended(claim: Claim, how: RequestEnd, error: str | None = None) -> EndedRequest:
    return EndedRequest(
        claim.account_id, claim.place, claim.body_hash, how, claim.handed_over, error
    )
